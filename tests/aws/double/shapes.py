"""How each service says the same thing: too fast, our fault, not allowed."""

from .errors import AwsError

_THROTTLED = {
    "s3": ("SlowDown", 503, "Please reduce your request rate."), "iam": ("Throttling", 400, "Rate exceeded"),
    "sts": ("Throttling", 400, "Rate exceeded"), "kms": ("ThrottlingException", 400, "Rate exceeded"),
    "dynamodb": ("ThrottlingException", 400, "Rate exceeded"), "aoss": ("ThrottlingException", 400, "Rate exceeded"),
    "s3vectors": ("TooManyRequestsException", 429, "Please reduce your request rate."),
}
_FAILED = {
    "s3": ("InternalError", 500, "We encountered an internal error. Please try again."),
    "iam": ("ServiceFailure", 500, "The request processing has failed because of an unknown error, exception or failure."),
    "sts": ("InternalFailure", 500, "An internal failure occurred."),
    "kms": ("KMSInternalException", 500, "The request was rejected because an internal exception occurred."),
    "dynamodb": ("InternalServerError", 500, "An internal server error occurred."),
}


def throttled(call):
    """Bedrock's status is 429; awsJson and IAM have 400 for everything."""
    code, status, message = _THROTTLED.get(
        call.service, ("ThrottlingException", 429, "Your request rate is too high. Reduce the frequency of requests."))
    return AwsError(code, message, status)


def failed(call):
    code, status, message = _FAILED.get(
        call.service, ("InternalServerException", 500, "An internal server error occurred. Retry your request."))
    return AwsError(code, message, status)
