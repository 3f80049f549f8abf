"""What an engine keeps beside its pods' processes, mounts and networks: files, records, sockets."""

import contextlib
import os
import sqlite3

import host


class EngineState:
    """As it is now: two of them tell what has come and gone between, which without pods is
    nothing."""

    def __init__(self, engine, *more_folders):
        self._root = engine.root
        self.files = _files((engine.root, engine.state, *more_folders))
        self.records = records(engine)
        self.sockets = host.sockets()

    def since(self, before):
        found = ["file " + path for path in sorted(self.files - before.files)]
        found += ["missing " + path for path in sorted(before.files - self.files)
                  if path.startswith(self._root)]
        found += ["record " + name for name in sorted(self.records - before.records)]
        found += ["missing record " + name for name in sorted(before.records - self.records)]
        found += ["socket " + name for name in sorted(self.sockets - before.sockets)]
        return found


def _files(tops):
    """Everything below the folders but the content of layers and the database's own files."""
    found = set()
    for top in tops:
        for path, folders, files in os.walk(top):
            if os.path.basename(os.path.dirname(path)) == "layers":
                folders.clear()
                files = []
            found.update(os.path.join(path, name) for name in folders)
            found.update(os.path.join(path, name) for name in files
                         if not name.startswith("berth.db"))
    return found


def records(engine):
    with contextlib.closing(sqlite3.connect(
            "file:%s/berth.db?mode=ro" % engine.root, uri=True, timeout=10)) as database:
        rows = database.execute("SELECT kind, id FROM records UNION ALL "
                                "SELECT 'damaged ' || kind, id FROM damaged")
        return {"%s %s" % row for row in rows}
