"""Flow control of a connection: reading stays paused while received requests wait to be parsed."""

from uvicorn.protocols.http.flow_control import FlowControl


class RequestFlow(FlowControl):
    has_unparsed = False
    """Whether received data waits to be parsed. Each response and each `receive` would resume reading otherwise."""

    def resume_reading(self) -> None:
        if not self.has_unparsed:
            super().resume_reading()
