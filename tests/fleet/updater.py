"""rauc-hawkbit-updater with the configuration of yocto/README.md, against stand-ins for a hawkBit server and
for RAUC: tests/fleet/run starts it.
"""

import configparser
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from rauc import Rauc
from server import Server

UPDATER = sys.argv.pop(1)
BUNDLE = os.urandom(1 << 20)
README = pathlib.Path(__file__).parents[2] / "yocto/README.md"


def documented():
    """The configuration of the documentation."""
    text = re.search(r"```text\n(\[client\]\n.*?)```", README.read_text(), re.S)[1]
    config = configparser.ConfigParser()
    config.read_string(text)
    return config


class Updater(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.rauc = Rauc(os.environ["DBUS_SESSION_BUS_ADDRESS"])
        self.addCleanup(self.rauc.close)
        self.rauc.signed = BUNDLE
        self.config = documented()
        client = self.config["client"]
        self.server = Server(client["target_name"], client["auth_token"])
        self.addCleanup(self.server.close)
        # Of the documented lines only the address changes.
        client.update(hawkbit_server=self.server.address, ssl="false", retry_wait="1")
        self.said = ""

    def start(self, **changes):
        """Starts the updater with these changes of its configuration."""
        for name, value in changes.items():
            self.config["client"][name] = value
        path = os.path.join(self.folder.name, "hawkbit.conf")
        with open(path, "w") as file:
            self.config.write(file)
        self.log = open(os.path.join(self.folder.name, "log"), "w+")
        self.process = subprocess.Popen([UPDATER, "-c", path], stdout=self.log, stderr=self.log)
        self.addCleanup(self.stop)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def words(self):
        """What the updater has said."""
        self.log.seek(0)
        return self.log.read()

    def until(self, condition, what):
        self.assertTrue(self.server.wait(condition), f"no {what}; the updater says:\n{self.words()}")

    def downloads(self):
        """Changes for an updater that downloads a bundle before RAUC reads it."""
        return {"stream_bundle": "false", "bundle_download_location": os.path.join(self.folder.name, "bundle")}

    def closed_with(self, result):
        """Waits for the end of the action; gives what the target reports about it."""
        self.until(self.server.closed, "closing feedback")
        self.assertEqual([entry[1] for entry in self.server.closed()], [result], self.server.feedback)
        self.assertEqual(self.server.bad, [])
        return " ".join(entry[2] for entry in self.server.feedback)

    def test_a_roll_out_is_installed_and_closed_when_rauc_has_ended(self):
        self.rauc.may_end.clear()
        self.server.roll_out("7", BUNDLE)
        self.start()
        self.until(lambda: self.server.feedback, "feedback")
        self.until(lambda: self.server.attributes, "attributes")
        self.assertEqual(self.server.attributes, {"model": "raspberrypi4-64"})
        self.assertEqual(self.server.closed(), [], "closed before the end of the installation")
        self.rauc.may_end.set()
        self.closed_with("success")
        self.assertEqual(self.rauc.ended, [""])

    def test_a_refused_token_installs_nothing_and_is_reported(self):
        self.server.roll_out("7", BUNDLE)
        self.start(auth_token="another")
        self.until(lambda: self.server.refused > 1, "second try")
        self.assertEqual((self.server.feedback, self.rauc.begun), ([], []))
        self.assertIn("Check if auth_token is correct", self.words())
        self.assertIsNone(self.process.poll(), "the updater has ended")

    def test_a_stream_with_other_bytes_is_closed_as_a_failure(self):
        self.server.roll_out("7", BUNDLE, delivered=os.urandom(len(BUNDLE)))
        self.start()
        self.assertIn("signature", self.closed_with("failure"))

    def test_a_stream_that_breaks_off_is_closed_as_a_failure(self):
        self.server.roll_out("7", BUNDLE, shortened=True)
        self.start()
        self.closed_with("failure")
        self.assertEqual(len(self.rauc.ended), 1)

    def test_a_download_with_another_checksum_never_reaches_rauc(self):
        self.server.roll_out("7", BUNDLE, delivered=os.urandom(len(BUNDLE)))
        self.start(**self.downloads())
        self.assertIn("checksum", self.closed_with("failure"))
        self.assertEqual(self.rauc.begun, [])

    def test_a_download_that_breaks_off_never_reaches_rauc(self):
        self.server.roll_out("7", BUNDLE, shortened=True)
        self.start(**self.downloads())
        self.closed_with("failure")
        self.assertEqual(self.rauc.begun, [])

    def test_after_a_failure_the_next_roll_out_is_installed(self):
        self.server.roll_out("7", BUNDLE, delivered=b"")
        self.start()
        self.closed_with("failure")
        self.server.roll_out("8", BUNDLE)
        self.until(lambda: len(self.server.closed()) == 2, "feedback of the second action")
        self.assertEqual(self.server.closed()[1][1], "success")

    def test_a_cancellation_during_an_installation_is_rejected(self):
        self.rauc.may_end.clear()
        self.server.roll_out("7", BUNDLE)
        self.start()
        self.until(lambda: self.rauc.begun and self.server.feedback, "installation")
        with self.server.lock:
            self.server.cancel = True
        self.until(lambda: self.server.cancellations, "answer to the cancellation")
        self.assertEqual(self.server.cancellations[0][0], "rejected")
        self.rauc.may_end.set()
        self.closed_with("success")


if __name__ == "__main__":
    unittest.main()
