"""AWS errors, and how each wire protocol writes them."""

import json
from xml.sax.saxutils import escape


class AwsError(Exception):
    """An error as an AWS API would answer it. The status decides how an SDK classifies it."""

    STATUS = {
        "ValidationException": 400,
        "SerializationException": 400,
        "AccessDeniedException": 403,
        "AccessDenied": 403,
        "MissingAuthenticationTokenException": 403,
        "ResourceNotFoundException": 404,
        "NotFoundException": 404,
        "UnknownOperationException": 404,
        "ConflictException": 409,
        "ServiceQuotaExceededException": 402,
        "ThrottlingException": 429,
        "InternalServerException": 500,
        "NotImplementedByDouble": 501,
    }

    def __init__(self, code, message, status=None, **fields):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.fields = code, message, fields
        self.status = status or self.STATUS.get(code, 400)


def validation(message, **fields):
    return AwsError("ValidationException", message, **fields)


def not_found(message):
    return AwsError("ResourceNotFoundException", message)


def conflict(message):
    return AwsError("ConflictException", message)


def denied(message):
    return AwsError("AccessDeniedException", message)


def _opensearch(error, request_id):
    """OpenSearch's own errors carry their cause; those of the gateway before it do not."""
    fields = dict(error.fields)
    headers = {"x-request-id": request_id, "content-type": "application/json; charset=UTF-8"}
    if "hint" in fields or error.code.startswith("AccessDenied"):
        headers["x-aoss-response-hint"] = fields.get("hint", "X01:gw-helper-deny")
    if fields.pop("cause", False):
        cause = {"type": error.code, "reason": error.message, **fields}
        return headers, json.dumps({"error": {"root_cause": [cause], **cause}, "status": error.status}).encode()
    # A refusal by IAM says nothing of what is missing.
    names = ("Forbidden", "403 Forbidden") if error.code.startswith("AccessDenied") else (error.code, error.message)
    return headers, json.dumps({"status": error.status, "request-id": request_id,
                                "error": {"reason": names[1], "type": names[0]}}).encode()


def render(error, protocol, request_id):
    """(status, headers, body) of an error, in the protocol of the service that was called."""
    headers = {"x-amzn-RequestId": request_id}
    if protocol == "rest-json":
        headers |= {"content-type": "application/json", "x-amzn-ErrorType": error.code}
        return error.status, headers, json.dumps({"message": error.message, **error.fields}).encode()
    if protocol == "opensearch":
        return error.status, *_opensearch(error, request_id)
    if protocol == "json":
        # awsJson has no status per error: everything that is not the server's fault is 400.
        status = error.status if error.status >= 500 else 400
        headers |= {"content-type": "application/x-amz-json-1.0"}
        return status, headers, json.dumps({"__type": error.code, "message": error.message, **error.fields}).encode()
    code, message = escape(error.code), escape(error.message)
    if protocol == "rest-xml":
        headers |= {"x-amz-request-id": request_id, "content-type": "application/xml"}
        fields = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in error.fields.items())
        body = f"<Error><Code>{code}</Code><Message>{message}</Message>{fields}<RequestId>{request_id}</RequestId></Error>"
    else:
        headers |= {"content-type": "text/xml"}
        kind = "Receiver" if error.status >= 500 else "Sender"
        body = (f"<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
                f"<RequestId>{request_id}</RequestId></ErrorResponse>")
    return error.status, headers, ('<?xml version="1.0" encoding="UTF-8"?>\n' + body).encode()
