"""A collection's own endpoint, /_aoss/<collection id>/...: the seam for the data plane (`PUT /<index>`), not built yet."""

from .errors import AwsError


async def answer(world, call):
    call.operation, call.resource = f"Http{call.method.title()}", call.path.removeprefix("/_aoss/")
    raise AwsError("NotImplementedByDouble", "the endpoint of a collection is not part of the double yet")
