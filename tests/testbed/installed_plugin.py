"""A plugin in a folder of its own, whose file a test replaces as an upgrade does."""

import os

NOW, NEXT = "0.1.0", "9.9.9"


def content_of(path):
    with open(path, "rb") as file:
        return file.read()


class InstalledPlugin:
    """A plugin's file in a folder of its own, as an installation has it."""

    def __init__(self, build, folder, name):
        plugins = os.path.join(folder, "lib/berth/plugins")
        os.makedirs(plugins, exist_ok=True)
        if not os.path.lexists(os.path.join(folder, "libexec")):
            os.symlink(os.path.join(build, "libexec"), os.path.join(folder, "libexec"))
        self.real = os.path.join(build, "lib/berth/plugins/berth-%s.so" % name)
        self.path = os.path.join(plugins, "berth-%s.so" % name)
        self.put(NOW)

    def put(self, version):
        """What an upgrade does: a new file takes the old one's place."""
        content = content_of(self.real)
        assert NOW.encode() in content
        self.put_bytes(content.replace(NOW.encode(), version.encode()))

    def put_bytes(self, content):
        with open(self.path + ".new", "wb") as file:
            file.write(content)
        os.replace(self.path + ".new", self.path)


def bed_with_installed(own_bed, folder, table, plugin, more="", settings=lambda _, given: given):
    """An engine with the plugin as `table`, which has the lines `more` besides, and the
    InstalledPlugin. `settings` makes the bed's settings of the bed and those of the table."""
    made = []

    def all_settings(bed):
        made.append(InstalledPlugin(bed.build, folder, plugin))
        bed.plugin_dirs.insert(0, os.path.dirname(made[0].path))
        return settings(bed, '[%s]\nplugin = "%s"\n%s' % (table, plugin, more))
    return own_bed(settings=all_settings), made[0]
