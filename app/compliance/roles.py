"""Roles and actions, by name: what the policy is about. It imports nothing, so that commands can name their action and start at once."""

from enum import StrEnum


class Role(StrEnum):
    """What somebody is to a lake; a person may have several."""

    ENGINEER = "engineer"
    ANALYST = "analyst"
    REVIEWER = "reviewer"
    APPROVER = "approver"
    AUDITOR = "auditor"
    SERVICE = "service"


class Action(StrEnum):
    """Everything that is allowed or denied."""

    RUN = "run"
    SCORE = "score"
    TRAIN = "train"
    EVALUATE = "evaluate"
    PROMOTE = "promote"
    ROLL_OUT = "roll_out"
    QUERY = "query"
    INSPECT = "inspect"
    ALERTS = "alerts"
    EXPORT = "export"
    CATALOGUE = "catalogue"
    VALIDATE = "validate"
    REFERENCE_LOAD = "reference_load"
    FEEDBACK_IMPORT = "feedback_import"
    REVIEW = "review"
    PROPOSE = "propose"
    APPROVE = "approve"
    REJECT = "reject"
    REPLAY = "replay"
    SUBJECT = "subject"
    ERASE = "erase"
    RETENTION = "retention"
    RESTORE = "restore"
    MANAGE_KEYS = "manage_keys"
    MANAGE_ACCESS = "manage_access"
    SEE_ACCESS = "see_access"
    AUDIT_READ = "audit_read"
    AUDIT_VERIFY = "audit_verify"
    SERVE = "serve"
