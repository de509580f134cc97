"""The endpoints: each asks the desk and answers in JSON. Who may ask is the gate's affair."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Annotated, Any, Literal, Protocol

from fastapi import Body, FastAPI, Header, Query, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from cleanplate import __version__
from cleanplate.report import render_page
from cleanplate.review.bodies import AgainBody, ApplyBody, ApproveBody
from cleanplate.review.desk import Desk
from cleanplate.review.gallery import Picture
from cleanplate.review.gate import NOWHERE_ELSE, App, Gate, Guarded, answer_refusal
from cleanplate.review.refusal import RefusalError

Id = Annotated[str, InPath(pattern=r"^[0-9a-f]{16}$", description="The photograph's id.")]
KnownTag = Annotated[str | None, Header(alias="if-none-match")]
Json = dict[str, Any]

#: Numbers of events have fewer digits.
_MOST_DIGITS = 19
_MASK_BODY = {"requestBody": {"required": True, "content": {"image/png": {"schema": {"type": "string"}}}}}


class Run(Protocol):
    """The run that a page follows, or none: what it tells, and whether it waits."""

    @property
    def is_live(self) -> bool: ...

    def to_json(self) -> Json: ...

    def list_samples(self) -> list[Json]: ...

    def pause(self) -> None:
        """Raises RefusalError where nothing goes on."""
        ...

    def resume(self) -> None: ...


def make_app(desk: Desk, gate: Gate, run: Run, *, on_stranger: Callable[[], None] = lambda: None) -> App:
    """The whole server as an ASGI application.

    on_stranger: told when a browser that is not let in asks for the page, so that the terminal can show a
    new address.
    """
    app = FastAPI(
        title="cleanplate review",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # these pages would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    _add_answers_to_errors(app)
    _add_page(app, desk, gate, run, on_stranger)
    _add_pictures(app, desk)
    _add_photographs(app, desk)
    _add_queue(app, desk)
    _add_run(app, desk, run)
    return Guarded(app, gate)


def _add_answers_to_errors(app: FastAPI) -> None:
    @app.exception_handler(RefusalError)
    def refuse(_request: Request, refusal: RefusalError) -> Response:
        return answer_refusal(refusal)

    @app.exception_handler(RequestValidationError)
    def refuse_values(_request: Request, error: RequestValidationError) -> Response:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        malformed = any(item["type"] == "json_invalid" for item in error.errors())
        return answer_refusal(RefusalError(400 if malformed else 422, wrong))

    @app.exception_handler(HTTPException)
    def refuse_address(_request: Request, error: HTTPException) -> Response:
        return answer_refusal(RefusalError(error.status_code, str(error.detail)))


def _add_page(app: FastAPI, desk: Desk, gate: Gate, run: Run, on_stranger: Callable[[], None]) -> None:
    @app.get("/", include_in_schema=False)
    def show_page(request: Request, token: str | None = None) -> Response:
        if token is not None and (secret := gate.exchange(token)) is not None:
            answer = RedirectResponse("/", status_code=303)
            answer.set_cookie(gate.cookie, secret, httponly=True, samesite="strict", path="/")
            return answer
        if not gate.admits(request.headers.get("cookie", "")):
            on_stranger()
            raise RefusalError(
                401, "this browser is not let in", "open the address that the terminal shows now"
            )
        if token is not None:
            return RedirectResponse("/", status_code=303)  # the address is loaded again: it has a cookie
        nonce = secrets.token_urlsafe(16)
        # Before the data, so that nothing is missed between them and the stream of events.
        number = desk.feed.number
        page = render_page(desk.collect(), review=_describe_review(desk, run, nonce, number))
        return HTMLResponse(page, headers={"Content-Security-Policy": _make_policy(nonce)})


def _describe_review(desk: Desk, run: Run, nonce: str, number: int) -> Json:
    return {
        "nonce": nonce,
        "live": run.is_live,
        "base": "/",
        "methods": list(desk.methods),
        "method": desk.settings.inpaint,
        "threshold": desk.settings.threshold,
        "sequence": number,
    }


def _make_policy(nonce: str) -> str:
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
        f"img-src 'self' blob: data:; connect-src 'self'; {NOWHERE_ELSE}"
    )


def _add_pictures(app: FastAPI, desk: Desk) -> None:
    @app.get("/pictures/{photo_id}/before", tags=["pictures"], response_class=Response)
    def show_before(photo_id: Id, known: KnownTag = None) -> Response:
        """What came in, as browsers show it, upright and at full size."""
        picture = desk.gallery.open_whole(desk.album.find(photo_id), after=False, known_tag=known)
        return _answer_picture(picture, known)

    @app.get("/pictures/{photo_id}/after", tags=["pictures"], response_class=Response)
    def show_after(photo_id: Id, known: KnownTag = None) -> Response:
        """The result, as browsers show it, upright and at full size."""
        picture = desk.gallery.open_whole(desk.album.find(photo_id), after=True, known_tag=known)
        return _answer_picture(picture, known)

    @app.get("/pictures/{photo_id}/thumbnail", tags=["pictures"], response_class=Response)
    def show_thumbnail(
        photo_id: Id, of: Literal["before", "after"] = "after", known: KnownTag = None
    ) -> Response:
        """A small JPEG."""
        photo = desk.album.find(photo_id)
        return _answer_picture(
            desk.gallery.open_thumbnail(photo, after=of == "after", known_tag=known), known
        )

    @app.get("/pictures/{photo_id}/mask", tags=["pictures"], response_class=Response)
    def show_mask(photo_id: Id, known: KnownTag = None) -> Response:
        """The painted mask, else the run's: a PNG of 0 and 255."""
        return _answer_picture(desk.gallery.open_mask(desk.album.find(photo_id), known), known)


def _answer_picture(picture: Picture | None, known: str | None) -> Response:
    if picture is None:
        return Response(status_code=304, headers={"ETag": known or ""})
    headers = {"ETag": picture.tag, "Cache-Control": "private, no-cache"}
    if isinstance(picture.content, bytes):
        return Response(picture.content, media_type=picture.media_type, headers=headers)
    return FileResponse(picture.content, media_type=picture.media_type, headers=headers)


def _add_photographs(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/photos", tags=["photographs"])
    def list_photographs() -> Json:
        """Every photograph's record."""
        number = desk.feed.number
        return {"sequence": number, "photos": desk.collect()["photos"]}

    @app.get("/api/photos/{photo_id}", tags=["photographs"])
    def show_photograph(photo_id: Id) -> Json:
        """One photograph's record."""
        return desk.describe(photo_id)

    @app.put("/api/photos/{photo_id}/mask", tags=["photographs"], openapi_extra=_MASK_BODY)
    async def paint(photo_id: Id, request: Request) -> Json:
        """Save a painted mask: a PNG of the upright photograph's size."""
        from starlette.concurrency import run_in_threadpool

        if request.headers.get("content-type") != "image/png":
            raise RefusalError(415, "a mask must come as image/png")
        return await run_in_threadpool(desk.paint, photo_id, await request.body())

    @app.delete("/api/photos/{photo_id}/mask", tags=["photographs"])
    def unpaint(photo_id: Id) -> Json:
        """Forget the painted mask."""
        return desk.unpaint(photo_id)

    @app.post("/api/photos/{photo_id}/again", tags=["photographs"], status_code=202)
    def do_again(photo_id: Id, body: Annotated[AgainBody, Body()] = AgainBody()) -> Json:  # noqa: B008
        """Queue it to be done again: another method or threshold, or under the painted mask."""
        job = desk.again(photo_id, method=body.method, threshold=body.threshold, mask=body.mask)
        return job.to_json()

    @app.post("/api/photos/{photo_id}/keep", tags=["photographs"], status_code=202)
    def keep_original(photo_id: Id) -> Json:
        """Queue it for its original to become the result."""
        return desk.keep(photo_id).to_json()

    @app.post("/api/photos/{photo_id}/approve", tags=["photographs"])
    def approve(photo_id: Id) -> Json:
        """Write down that its result is good."""
        return desk.approve(photo_id)

    @app.post("/api/photos/{photo_id}/reopen", tags=["photographs"])
    def reopen(photo_id: Id) -> Json:
        """Take the decision on it back."""
        return desk.reopen(photo_id)

    @app.post("/api/approve", tags=["photographs"])
    def approve_all(body: ApproveBody) -> Json:
        """Approve many."""
        return desk.approve_all(body.ids)

    @app.get("/api/photos/{photo_id}/alike", tags=["photographs"])
    def find_alike(photo_id: Id) -> Json:
        """Which others its painted mask fits: the same size, and a mark in that place or none found."""
        alike = desk.find_alike(photo_id)
        return {"ids": alike.ids, "skipped": alike.skipped}

    @app.post("/api/photos/{photo_id}/apply", tags=["photographs"], status_code=202)
    def apply_mask(photo_id: Id, body: Annotated[ApplyBody, Body()] = ApplyBody()) -> Json:  # noqa: B008
        """Give its painted mask, or the mark that they share under it, to those, and queue them."""
        jobs = desk.apply(photo_id, method=body.method, ids=body.ids)
        return {"jobs": [job.to_json() for job in jobs]}


def _add_queue(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/queue", tags=["queue"])
    def show_queue() -> Json:
        """What waits and runs."""
        return desk.queue.to_json()

    @app.delete("/api/queue/{number}", tags=["queue"])
    def cancel(number: int) -> Json:
        """Take a waiting job out."""
        desk.cancel(number)
        return desk.queue.to_json()

    @app.delete("/api/queue", tags=["queue"])
    def cancel_all() -> Json:
        """Take all waiting jobs out."""
        desk.cancel()
        return desk.queue.to_json()


def _add_run(app: FastAPI, desk: Desk, run: Run) -> None:
    @app.get("/api/run", tags=["run"])
    def show_run() -> Json:
        """How far the run is."""
        return run.to_json()

    @app.post("/api/run/pause", tags=["run"])
    def pause() -> Json:
        """Let the run finish what is in hand and wait."""
        run.pause()
        return run.to_json()

    @app.post("/api/run/resume", tags=["run"])
    def resume() -> Json:
        """Let it go on."""
        run.resume()
        return run.to_json()

    @app.get("/api/samples", tags=["run"])
    def show_samples() -> Json:
        """Memory over the run."""
        return {"samples": run.list_samples()}

    @app.get("/api/events", tags=["run"], response_class=StreamingResponse)
    async def listen(
        after: Annotated[int | None, Query(ge=0)] = None,
        last: Annotated[str | None, Header(alias="last-event-id")] = None,
    ) -> StreamingResponse:
        """Server-sent events: hello, photo, queue, job, mark, run, sample, note, bye."""
        numbered = last is not None and last.isascii() and last.isdecimal() and len(last) < _MOST_DIGITS
        known = int(last or 0) if numbered else after
        return StreamingResponse(desk.feed.listen(known), media_type="text/event-stream")
