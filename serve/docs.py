"""The OpenAPI document as one page of HTML that loads nothing: no script, no other server."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0 }
tr + tr { border-top: 1px solid #ddd } code { font-size: 90% } h2 { margin-top: 2.5rem }
"""


def page(document: Mapping[str, Any]) -> str:
    """The page."""
    return "".join(_page(document))


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head><body>'
    yield f'<h1>{title}</h1><p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>'
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield from _operation(f"{method.upper()} {path}", operation)
    for name, scheme in document["components"]["securitySchemes"].items():
        yield f"<h2>Access: {escape(name)}</h2><p>Authorization: Bearer …, {escape(scheme['description'])}.</p>"
    for name, schema in document["components"]["schemas"].items():
        yield from _schema(name, schema)
    yield "</body></html>"


def _operation(name: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2><code>{escape(name)}</code></h2><p>{escape(operation.get('description', ''))}</p>"
    if "requestBody" in operation:
        yield f"<p>Send {_content(operation['requestBody'])}.</p>"
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        yield f"<p><code>{escape(parameter['name'])}</code>: {_type(schema)}, {escape(schema.get('description', ''))}</p>"
    yield "<table><tr><th>Status</th><th>When</th><th>Answer</th></tr>"
    for status, answer in operation["responses"].items():
        headers = "".join(f"; header <code>{escape(header)}</code>" for header in answer.get("headers", {}))
        yield f"<tr><td>{escape(status)}</td><td>{escape(answer['description'])}</td><td>{_content(answer)}{headers}</td></tr>"
    yield "</table>"


def _content(of: Mapping[str, Any]) -> str:
    return "; ".join(f"<code>{escape(kind)}</code>: {_type(content['schema'])}" for kind, content in of["content"].items())


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h2 id="{escape(name)}">{escape(name)}</h2><table><tr><th>Field</th><th>Type</th><th>Meaning</th></tr>'
    for field, held in schema["properties"].items():
        must = " (always)" if field in schema.get("required", ()) else ""
        meaning = escape(held.get("description", ""))
        yield f"<tr><td><code>{escape(field)}</code>{must}</td><td>{_type(held)}</td><td>{meaning}</td></tr>"
    yield "</table>"


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in words, with links to those that have a name."""
    match schema:
        case {"$ref": ref}:
            name = escape(ref.rpartition("/")[2])
            return f'<a href="#{name}">{name}</a>'
        case {"oneOf": choices}:
            return " or ".join(map(_type, choices))
        case {"enum": values}:
            return ", ".join(map(escape, values))
        case {"const": value}:
            return escape(str(value))
        case {"type": "array", "items": items}:
            most = f", at most {schema['maxItems']}" if "maxItems" in schema else ""
            return f"list of {_type(items)}{most}"
        case {"type": "object", "properties": properties}:
            return "{" + ", ".join(f"{escape(name)}: {_type(held)}" for name, held in properties.items()) + "}"
        case {"type": list(types)}:
            return " or ".join(map(escape, types))
    return escape(str(schema.get("type", "")))
