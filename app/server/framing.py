"""Framing of requests: where each head, body, chunk and trailer ends in the bytes of a connection.

The parser gets pieces that never reach beyond the end of a head or a message. Heads and chunk framing are therefore
counted exactly, parsing can stop between two requests, and the parser and this module have to agree on where each
message ends: a difference is an error of the request, and no byte of a body is ever parsed as a request.
"""

from app.server.request_head import CHUNKED, RequestError

MAX_HEAD = 32 * 1024
"""Bytes of a request before its body: empty lines, the request line and the headers."""

MAX_CHUNK_FRAMING = 32 * 1024
"""Bytes of a chunked body that are not content: sizes, extensions, line ends and trailers together."""

END_OF_HEAD = b"\r\n\r\n"

HEAD, CONTENT, CHUNK_SIZE, TRAILERS = range(4)
"""Parts of a request; `CONTENT` is a body, or a chunk with the line end after it. Numbers are compared fastest."""


class RequestFraming:
    """The position in the current request. Call `piece_end`, feed that piece to the parser, and call `advance`."""

    __slots__ = ("_framing_bytes", "_is_chunked", "_line", "_part", "_remaining", "head", "piece")

    def __init__(self) -> None:
        self._part = HEAD
        self.head: bytes = b""
        """What has been received of the head, up to its end; empty between two requests."""
        self.piece = 0
        """Bytes of the current piece, if it belongs to a body."""

    @property
    def is_in_head(self) -> bool:
        return self._part == HEAD

    def start_body(self, length: int) -> None:
        """Expect a body of `length` bytes, or a `CHUNKED` one: the parser has reached the end of a head."""
        self._is_chunked = length == CHUNKED
        self._remaining = length
        self._part = CHUNK_SIZE if self._is_chunked else CONTENT
        self._line = b""
        self._framing_bytes = 0

    def end_message(self) -> None:
        """Expect the next head: the parser has reached the end of a message.

        Raises: RequestError if the message should not have ended there.
        """
        if self._part != HEAD:
            is_last_content = self._part == CONTENT and not self._is_chunked and self.piece == self._remaining
            if self._part != TRAILERS and not is_last_content:
                raise RequestError(400)
            self._part = HEAD
            self.piece = 0
        self.head = b""

    def piece_end(self, data: bytes, start: int) -> int:
        """Return where the piece of `data` that begins at `start` ends; the next one begins there.

        Raises: RequestError if a limit is exceeded.
        """
        if self._part == HEAD:
            if self.head or start:
                return self._head_piece_end(data, start)
            # Most heads arrive as a whole, in a packet of their own.
            end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
            if not len(END_OF_HEAD) <= end <= MAX_HEAD:
                return self._head_piece_end(data, start)
            self.head = data[:end]
            return end
        if self._part == CONTENT:
            end = min(start + self._remaining, len(data))
        else:
            end = data.find(b"\n", start) + 1 or len(data)
            self._count_framing(end - start)
            self._line += data[start:end]
        self.piece = end - start
        return end

    def _head_piece_end(self, data: bytes, start: int) -> int:
        received = len(self.head)
        head = self.head + data[start : start + MAX_HEAD + 1]
        end = head.find(END_OF_HEAD, max(received - len(END_OF_HEAD) + 1, 0))
        if end >= 0:
            head = head[: end + len(END_OF_HEAD)]
        if len(head) > MAX_HEAD:
            raise RequestError(400)
        self.head = head
        return start + len(head) - received

    def advance(self) -> None:
        """Move to the end of a `piece`: the parser has accepted it.

        Raises: RequestError if the message should have ended there, but has not for the parser.
        """
        piece, self.piece = self.piece, 0
        if self._part == CONTENT:
            self._remaining -= piece
            if not self._remaining:
                self._end_content()
        elif self._line.endswith(b"\n"):
            self._end_line()

    def _end_content(self) -> None:
        if not self._is_chunked:
            raise RequestError(400)
        self._part = CHUNK_SIZE
        self._count_framing(2)

    def _end_line(self) -> None:
        line, self._line = self._line, b""
        if self._part == CHUNK_SIZE:
            # The parser has accepted the size.
            size = int(line.partition(b";")[0], 16)
            self._remaining = size + 2
            self._part = CONTENT if size else TRAILERS

    def _count_framing(self, count: int) -> None:
        self._framing_bytes += count
        if self._framing_bytes > MAX_CHUNK_FRAMING:
            raise RequestError(400)
