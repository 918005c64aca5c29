"""What the OpenAPI document can't say and the API asks for: `to` is not before `from`."""

from datetime import datetime

import schemathesis


@schemathesis.hook
def map_query(_context, query):
    """Puts two times in order; what is no time stays as it is, to be refused."""
    try:
        backwards = datetime.fromisoformat(query["from"]) > datetime.fromisoformat(query["to"])
    except (KeyError, TypeError, ValueError):
        return query
    if backwards:
        query["from"], query["to"] = query["to"], query["from"]
    return query
