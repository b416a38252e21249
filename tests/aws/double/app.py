"""The ASGI application: one request in, journalled, answered by whoever owns it.

    request -> Call (call.py) -> who calls (principals.py, sessions.py) -> by the signature's service, each named and passing gate.py:
        bedrock   bedrock.py, bedrock_sources.py, bedrock_jobs.py -> ingestion.py; retrieve.py      store.py checks, unsound.py spoils
        aoss      aoss.py, aoss_security.py, aoss_index.py                                           access.py decides
        s3vectors s3vectors.py, s3vectors_index.py, s3vectors_data.py                                s3vectors_keys.py decides
        others    passthrough.py -> upstream.py (MiniStack)
    /_double/     control.py
    /_aoss/<id>/  a collection's endpoint (endpoint.py)
"""

import json
import logging

from . import aoss, bedrock, control, endpoint, model, passthrough, s3vectors, sessions, web_identity
from .call import Call
from .clock import Clock, Holds
from .connections import Connections
from .errors import AwsError, render
from .evidence import Evidence
from .faults import Dropped, Faults, Withheld
from .journal import Journal
from .keys import Keys
from .principals import Roles
from .rates import Rates
from .s3_etags import Etags
from .s3_mends import S3Mends
from .settings import Settings
from .state import World

log = logging.getLogger("double")

OWN = {"bedrock": (bedrock.answer, "rest-json"), "aoss": (aoss.answer, "json"), "s3vectors": (s3vectors.answer, "rest-json")}


class App:
    def __init__(self, speedup=None, evidence=None):
        settings = Settings(speedup)
        self.world = World(settings, Clock(settings, Holds()), Journal())
        world = self.world
        world.roles, world.faults, world.keys = Roles(world), Faults(), Keys()
        world.sessions = sessions.Sessions()
        world.rates, world.connections = Rates(settings), Connections()
        world.s3_mends, world.s3_etags, world.evidence = S3Mends(world), Etags(), Evidence(evidence)

    async def __call__(self, scope, receive, send):
        body = await _body(receive)
        if body is None:
            return
        call = Call.of(scope, body)
        if call.path.startswith("/_double/"):
            status, value = await control.answer(self.world, call)
            await _send(send, status, {"content-type": "application/json"}, json.dumps(value).encode())
            return
        try:
            status, headers, body = await self._journalled(call)
        except Dropped as dropped:
            if not isinstance(dropped, Withheld):
                self.world.connections.reset(scope["client"])
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await _send(send, status, headers, body, head=call.method == "HEAD")

    async def _journalled(self, call):
        world, started = self.world, self.world.clock.now()
        if web_identity.asked(call):
            call.service = "sts"        # nobody signed it, so nothing said so
        protocol = OWN[call.service][1] if call.service in OWN else passthrough.PROTOCOLS.get(call.service, "rest-json")
        if call.path.startswith("/_aoss/"):
            protocol = "opensearch"
        status, error = 0, ""
        try:
            status, headers, body = await self._answer(call)
            if status < 300:
                await world.faults.after(call)
            return status, headers, body
        except AwsError as failure:
            status, headers, body = render(failure, protocol, call.request_id)
            call.error, error = failure.code, failure.message
            return status, headers, body
        except Dropped:
            call.error = "Dropped"
            raise
        except Exception:
            log.exception("%s %s failed", call.service, call.operation)
            status, headers, body = render(AwsError("InternalServerException", "the double failed; see its log"),
                                           protocol, call.request_id)
            call.error = "InternalServerException"
            return status, headers, body
        finally:
            world.journal.add(
                time=started, account=call.account, region=call.region, service=call.service, operation=call.operation,
                resource=call.resource, caller=call.caller, status=status, error=call.error, message=error,
                params=call.params, actions=call.actions, session=sessions.shown(call), asked=call.asked,
                request_id=call.request_id)

    async def _answer(self, call):
        if call.service == "sts" and not call.access_key:
            return await web_identity.answer(self.world, call)
        if not call.access_key:
            raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
        call.account, call.caller = await self.world.roles.caller(call.access_key, call.region)
        call.session = self.world.sessions.of(call)
        if call.path.startswith("/_aoss/"):
            return await endpoint.answer(self.world, call)
        if call.service not in OWN:
            return await passthrough.answer(self.world, call)
        own, protocol = OWN[call.service]
        value = await own(self.world, call)
        service = {"aoss": "opensearchserverless"}.get(call.service, call.service)
        status, body = model.answer(service, call.operation, value)
        body = call.bend(body) if call.bend else body
        kind = "application/x-amz-json-1.0" if protocol == "json" else "application/json"
        return status, {"content-type": kind, "x-amzn-RequestId": call.request_id}, body


async def _body(receive):
    """The whole body, or None if the client has gone before the end of it: such a request has not arrived."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


async def _send(send, status, headers, body, head=False):
    # MiniStack says how long a HEAD's body would be; everything else is measured here.
    if not (head and "content-length" in headers):
        headers = {**{k: v for k, v in headers.items() if k.lower() != "content-length"}, "content-length": str(len(body))}
    await send({"type": "http.response.start", "status": status,
                "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]})
    await send({"type": "http.response.body", "body": b"" if head else body})
