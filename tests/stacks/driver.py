"""Drives the program of a manual page (wsdl/clients/): one process a command, as an integrator runs it.

    driver.py sandbox.json COMMAND... OUT      one command a line on standard input (tests/stacks/runs), one result a line on standard output

The program takes `health TYPE`, `send FILE TITLE TYPE KIND IDENTIFIER QUALITY`, `submit` with the same words (contract B; `mtom` after them),
`status TICKET`, `proof TICKET KIND`, `history TICKET` and leaves request, request.type, answer, answer.type and the proof in its folder. Every message goes to OUT/raw, every proof to OUT/proofs."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import uuid


class Failed(Exception):
    """What the program ended with: a fault, or something of its own."""


class Driver:
    def __init__(self, sandbox, command, out):
        self.sandbox = pathlib.Path(sandbox).resolve().parent
        self.setup = json.loads(pathlib.Path(sandbox).read_text())
        self.command, self.out = command, pathlib.Path(out).resolve()
        self.folder = self.out / "folder"
        (self.out / "raw").mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(exist_ok=True)
        self.messages = self.commands = 0
        self.last_ticket = self.last_receipt = self.last_send = None

    def run(self, party, *words, token="", soap=""):
        """Runs the program once; gives the last line that it says."""
        for name in ("request", "request.type", "answer", "answer.type"):
            (self.folder / name).unlink(missing_ok=True)
        file = lambda name: str(self.sandbox / name)
        settings = {"ENDPOINT": self.setup["endpoint"], "CERT": file(party["cert"]), "KEY": file(party["key"]),
                    "CA": file(self.setup["tls_ca"]), "P12": file(party["p12"]), "PASSWORD": self.setup["password"]}
        settings |= {"TOKEN": token} if token else {}
        settings |= {"SOAP": soap} if soap else {}
        ran = subprocess.run([*self.command, *words], cwd=self.folder, env=os.environ | settings, capture_output=True, text=True, timeout=60)
        self.messages += 1
        for kind in ("request", "answer"):
            octets, content_type = self.folder / kind, self.folder / f"{kind}.type"
            if octets.exists() and content_type.exists():
                head = f"Content-Type: {content_type.read_text()}\r\n\r\n".encode()
                (self.out / "raw" / f"{self.messages:03}-{kind}").write_bytes(head + octets.read_bytes())
        if ran.returncode:
            faults = [line for line in ran.stderr.splitlines() if line.startswith("FAULT ")]
            raise Failed(faults[0] if faults else f"ERROR {ran.stderr[-1500:]}")
        return ran.stdout.splitlines()[-1]

    def save(self, name):
        """Puts a proof of the program's where proofs are judged."""
        folder = self.out / "proofs" / str(self.commands)
        folder.mkdir(parents=True, exist_ok=True)
        content = (self.folder / name).read_bytes()
        for each in (name, name.replace(".xml", ".p7s")):
            shutil.move(self.folder / each, folder / each)
        return content

    def answer(self, name, verb, *words):
        self.commands += 1
        try:
            return getattr(self, "do_" + verb)((self.setup["senders"] | self.setup["strangers"])[name], *words)
        except Failed as failed:
            return str(failed)
        except (OSError, LookupError, TypeError, ValueError, subprocess.SubprocessError) as error:  # one bad result must not end the run
            return f"ERROR {type(error).__name__} {error}"

    def do_health(self, party, kind):
        return f"HEALTH {self.run(party, 'health', kind)}"

    def item(self, verb, recipient, changes):
        """The words of one item, and its Token."""
        letter = self.folder / "letter.pdf"
        letter.write_bytes(f"%PDF-1.4\n%{'another' if changes else 'a'} letter\n\r\n\x00%%EOF\n".encode())
        kind = "Citizen" if recipient.startswith("citizen") else "Enterprise"
        token = self.last_send[-1] if "last-token" in changes else str(uuid.uuid4())
        return (verb, str(letter), "Lettre à l’assuré <& Co>", "LETTER", kind, self.setup["recipients"][recipient],
                self.setup["quality_codes"][recipient]), token

    def do_send(self, party, recipient, *changes):
        words, token = self.item("send", recipient, changes)
        ticket = self.run(party, *words, token=token)
        self.last_send, self.last_ticket, self.last_receipt = (*words, token), ticket, self.save("Receipt.xml")
        for _ in range(150):
            status = self.do_status(party, ticket)
            if not status.startswith("PENDING"):
                return status
            time.sleep(0.1)
        return status

    def do_submit(self, party, recipient, *changes):
        """Contract B: `mtom`, and `soap12` instead of SOAP 1.1."""
        words, token = self.item("submit", recipient, {"last-token"} & set(changes))
        words += ("mtom",) if "mtom" in changes else ()
        ticket = self.run(party, *words, token=token, soap="1.2" if "soap12" in changes else "")
        self.last_send, self.last_ticket, self.last_receipt = (*words, token), ticket, self.save("Receipt.xml")
        return f"SUBMITTED {ticket}"

    def do_resend(self, party):
        *words, token = self.last_send
        ticket = self.run(party, *words, token=token)
        same = ticket == self.last_ticket and self.save("Receipt.xml") == self.last_receipt
        return f"{'SAME' if same else 'DIFFERENT'} {ticket}"

    def do_status(self, party, ticket):
        ticket = self.ticket() if ticket == "last" else ticket
        status = self.run(party, "status", ticket)
        if status == "SENT":
            self.save("ProofOfDispatch.xml")
        return f"{status} {ticket}"

    def do_proof(self, party, kind):
        for _ in range(30):
            try:
                name = self.run(party, "proof", self.ticket(), kind)
                break
            except Failed as failed:
                if "no such proof" not in str(failed):
                    raise
                time.sleep(0.5)
        self.save(name)
        return f"PROOF {name}"

    def do_history(self, party):
        return f"HISTORY {self.run(party, 'history', self.ticket())}"

    def ticket(self):
        """Of the last item sent; a program that sends none is given one (TICKET) that another sent."""
        return self.last_ticket or os.environ["TICKET"]


if __name__ == "__main__":
    driver = Driver(sys.argv[1], sys.argv[2:-1], sys.argv[-1])
    for line in sys.stdin:
        print(" ".join(driver.answer(*line.split()).split()), flush=True)
