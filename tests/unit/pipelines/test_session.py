from ray.data._internal.execution import resource_manager, streaming_executor_state


def test_ray_data_still_has_the_two_clocks_that_are_set_by_hand() -> None:
    assert isinstance(streaming_executor_state.WAIT_FOR_TASK_COMPLETION_TIMEOUT_S, float)
    assert isinstance(resource_manager.ResourceManager.GLOBAL_LIMITS_UPDATE_INTERVAL_S, int | float)
