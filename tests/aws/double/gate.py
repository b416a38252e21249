"""What every call of every service passes once it is named and before it acts: the script of faults, request rates, IAM."""

from . import caller


async def pass_through(world, call):
    await world.faults.before(world, call)
    world.rates.check(call)
    await caller.check(world, call)
