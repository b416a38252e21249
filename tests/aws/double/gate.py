"""What every call of every service passes once it is named and before it acts: the script of faults, then IAM."""

from . import caller


async def pass_through(world, call):
    await world.faults.before(call)
    await caller.check(world, call)
