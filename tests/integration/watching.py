"""What players of a household ask for: starts, reports, stops, and the end of other streams."""

from typing import Any, TypeAlias

import httpx

from infra.clock import utc_now
from infra.ids import new_id
from infra.postgres import Pool
from tests.integration.households import Household
from tests.integration.showing import shown

Session: TypeAlias = dict[str, Any]


async def shown_film(postgres: Pool) -> str:
    """A film that everybody may watch."""
    film = f"film-{new_id()}"
    await postgres.execute(
        """insert into catalog_titles (title_id, kind, name, synopsis, duration_ms, minimum_age, availability,
               seasons, published_at)
           values ($1, 'movie', 'Sintel', '', 888000, 0, '[]', '[]', now())""",
        film,
    )
    await shown(postgres, film)
    return film


async def start(home: Household, film: str, *codes: str, name: str = "Den", **body: Any) -> httpx.Response:
    device = {"device_id": home.tokens["device_id"], "type": "tv", "name": name}
    return await home.post("/v1/playback/sessions", title_id=film, device=device, terminate=list(codes), **body)


async def watching(home: Household, film: str, *codes: str, **body: Any) -> Session:
    reply = await start(home, film, *codes, **body)
    assert reply.status_code == 201, reply.text
    session: Session = reply.json()
    return session


async def report(home: Household, session: Session, *seqs: int, kind: str = "heartbeat") -> httpx.Response:
    now = utc_now().isoformat()
    events = [{"type": kind, "seq": seq, "at": now, "position_ms": seq * 1_000} for seq in seqs]
    return await _send(home, session, "events", {"sent_at": now, "events": events})


async def stop(home: Household, session: Session, seq: int) -> httpx.Response:
    now = utc_now().isoformat()
    return await _send(home, session, "stop", {"sent_at": now, "at": now, "seq": seq, "position_ms": seq * 1_000})


async def _send(home: Household, session: Session, path: str, body: object) -> httpx.Response:
    return await home.house.client.post(
        f"/v1/playback/sessions/{session['session_id']}/{path}",
        json=body,
        headers={"Authorization": f"Bearer {session['playback_token']}"},
    )


async def terminate(home: Household, session_id: str) -> httpx.Response:
    return await home.post(f"/v1/playback/sessions/{session_id}/terminate")
