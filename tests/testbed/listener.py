"""Those who listen to an engine's events (CRI, GetContainerEvents)."""

import contextlib
import os
import sqlite3
import threading

import grpc
from berth_testbed import wait_until


class Listener:
    """A subscriber; what it hears is in `events`, how its stream ended in `end`."""

    def __init__(self, bed, seconds=300):
        self.types = bed.cri.messages.ContainerEventType
        self.events = []
        self.end = None
        self._stream = bed.cri.GetContainerEvents(timeout=seconds)
        # The daemon sends them when it has subscribed: nothing is missed from here on.
        self._stream.initial_metadata()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        try:
            for event in self._stream:
                self.events.append(event)
        except grpc.RpcError as error:
            self.end = error

    def leave(self):
        self._stream.cancel()
        self._thread.join()

    def wait_end(self):
        self._thread.join(30)
        assert not self._thread.is_alive(), "the stream has not ended"
        return self.end

    def of(self, *ids):
        """("created", id) … of these pods and containers."""
        word = {self.types.Value("CONTAINER_%s_EVENT" % name.upper()): name
                for name in ("created", "started", "stopped", "deleted")}
        return [(word[event.container_event_type], event.container_id)
                for event in list(self.events) if event.container_id in ids]

    def event(self, word, identity):
        return next(event for event in self.events if event.container_id == identity and
                    event.container_event_type == self.types.Value(
                        "CONTAINER_%s_EVENT" % word.upper()))

    def wait_for(self, word, identity):
        wait_until(lambda: (word, identity) in self.of(identity),
                   what="the event %s of %s" % (word, identity))


def expected(bed):
    """Whether the daemon's records say that somebody listens."""
    return records(bed, "events") != []


def wait_noted(bed, pod):
    """Waits until the daemon has noted that all it has told by now was told.

    A client has an event a moment before that, and what is not noted is told again after a crash.
    Events are noted in their order, and the deletion of a container by the end of its record.
    """
    last = bed.create(pod, "last", command=["true"])
    bed.cri.RemoveContainer({"container_id": last})
    wait_until(lambda: last not in records(bed, "container"), what="the note that all was told")


def records(bed, kind, column="id"):
    """The ids (or values) of the daemon's records of a kind."""
    path = "file:%s?mode=ro" % os.path.join(bed.engine.root, "berth.db")
    with contextlib.closing(sqlite3.connect(path, uri=True)) as database:
        return [row[0] for row in database.execute(
            "SELECT %s FROM records WHERE kind = ? ORDER BY id" % column, (kind,)).fetchall()]
