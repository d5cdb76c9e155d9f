"""An evening driven by dice, where hypothesis cannot go: on real servers, and in numbers."""

from datetime import timedelta
from random import Random

from tests.players.evening import DAY_S, TITLES, Device, Evening


def clocks(dice: Random) -> list[timedelta]:
    """How wrong the clocks of four devices are."""
    return [timedelta(seconds=dice.randint(-DAY_S, DAY_S)) for _ in range(4)]


def throw(evening: Evening, dice: Random) -> None:
    """Something happens."""
    on = dice.choice(evening.devices)
    match dice.choices(("use", "send", "arrive", "lose", "break"), (10, 6, 9, 1, 1))[0]:
        case "use":
            evening.pass_time(dice.choice((40, 400, 1_000, 4_960, 10_000, 30_000)))
            use(evening, on, dice)
        case "send":
            only_new, backwards = dice.random() < 0.5, dice.random() < 0.3
            evening.send(on, dice.randrange(3), only_new=only_new, most=dice.choice((1, 3, 400)), backwards=backwards)
        case "arrive" if evening.network.in_flight:
            parcel = evening.network.take(dice.randrange(100), again=dice.random() < 0.3)
            evening.arrive(parcel, reply_lost=dice.random() < 0.3)
        case "lose" if evening.network.in_flight:
            evening.network.take(dice.randrange(100), again=False)
        case "break" if on.sitting is not None:
            spoil(evening, on, dice)


def use(evening: Evening, on: Device, dice: Random) -> None:
    """A viewer does something on a device."""
    acts = on.sitting.acts() if on.sitting and dice.random() > 0.03 else []
    if on.sitting is None or not acts:
        evening.start(on, dice.choice(TITLES), dice.choice((0, 60_000)))
    else:
        on.sitting.act(dice.choice(acts), dice.randrange(1_000))


def spoil(evening: Evening, on: Device, dice: Random) -> None:
    """Something goes wrong."""
    assert on.sitting is not None
    match dice.randrange(4):
        case 0:
            evening.crash(on, keeps_queue=dice.random() < 0.5)
        case 1:
            evening.close(on.sitting, dice.choice(("expired", "terminated")))
        case 2:
            on.sitting.overflow()
        case _:
            evening.reopen(on)
