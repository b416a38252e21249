"""Foundation models: GetFoundationModel, with what it says of a model's life (aws-truth; next 3.10)."""

from . import store
from .errors import not_found

OPERATIONS = {}
DAY = 86400.0


async def _get(world, region, call, params):
    model = params["modelIdentifier"].split("foundation-model/")[-1]
    if model not in store.MODELS:
        raise not_found("Could not resolve the foundation model from the provided model identifier.")
    left = dict(world.settings.switch(region.account, "legacy_models"))
    life = {"status": "LEGACY" if model in left else "ACTIVE"}
    if left.get(model) is not None:
        life["endOfLifeTime"] = world.clock.now() + left[model] * DAY
    return {"modelDetails": {"modelArn": arn(region.name, model), "modelId": model, "inputModalities": ["TEXT"],
                             "outputModalities": ["EMBEDDING"], "modelLifecycle": life}}


def arn(region, model):
    return f"arn:aws:bedrock:{region}::foundation-model/{model}"


OPERATIONS |= {"GetFoundationModel": _get}
