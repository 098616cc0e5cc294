"""The other side of B11: pgbench writes the rows of one report a transaction, by plain SQL in prepared statements."""

from __future__ import annotations

import re
import subprocess

from benchmarks.intake.reports import AGENT, CAMERAS, Sender
from benchmarks.intake.turn import LINES
from benchmarks.postgres import Server
from support.databases import server_programs

_RATE = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
_DONE = re.compile(r"actually processed: (\d+)")


def script(sample: Sender, sites: int, together: int = 1) -> str:
    """Return the transaction that writes `together` reports: what ingest changes, with rows of the same sizes.

    The institution's row, the report rows, the stretch of each camera, the agent's row. No two clients share an
    institution, as no two agents do.
    """
    envelope = sample.envelope().hex()
    newest = "x" * 218
    spans = ", ".join(
        f"(:name, 'stream', 'camera', 'camera-{number}', 'up|-|watched|probe', 1795400000000, :upto, '{newest}', NULL)"
        for number in range(CAMERAS)
    )
    reports = ", ".join(
        f"(:name, '{AGENT}', :boot, :n::bigint * {together} + {number}, 'sha256-{'d' * 64}', '\\x{envelope}'::bytea,"
        f" '{sample.key.public.id}', 1795400000000, 1795400000000, 1795400000000, NULL, :n::bigint * {together} + {number + 1})"
        for number in range(together)
    )
    key = "institution_id, kind, subject_kind, subject_id, lane, start_at"
    columns = (
        "institution_id, agent_id, boot, sequence, digest, envelope, key_id, nonce_at, written_at, received_at, doubt,"
        " arrival"
    )
    changed = "end_at = excluded.end_at, newest = excluded.newest, lasting = excluded.lasting"
    noted = f"reports = reports + {together}, last_report_at = :upto, chain = '{'c' * 560}', missing = 0"
    lines = (
        f"\\set i :client_id + {LINES} * random(0, {sites // LINES - 1})",
        "\\set n :n + 1",
        "\\set upto 1795400000000 + :n",
        "SELECT 'bench-' || lpad(:i::text, 5, '0') AS name, lpad(:client_id::text, 32, 'b') AS boot \\gset",
        "BEGIN;",
        "UPDATE institution SET last_report_at = :upto WHERE id = :name;",
        f"INSERT INTO report ({columns}) VALUES {reports};",
        f"INSERT INTO span ({key}, end_at, newest, lasting) VALUES {spans} ON CONFLICT ({key}) DO UPDATE SET {changed};",
        f"UPDATE agent SET {noted} WHERE institution_id = :name AND id = '{AGENT}';",
        "COMMIT;",
    )
    return "\n".join(lines) + "\n"


def run(server: Server, database: str, text: str, transactions: int, turn: int) -> float:
    """Run the script `transactions` times in all by 32 clients; return transactions a second.

    Each turn over the same database has another number, by which its reports are numbered anew.
    """
    path = server.directory / "pgbench.sql"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
    command = [
        str(server_programs() / "pgbench"), "-n", "-M", "prepared", "-c", str(LINES), "-j", "1",
        "-t", str(max(1, transactions // LINES)), "-D", f"n={turn * 1_000_000}", "-f", str(path),
        "-h", str(server.directory), "-U", "postgres", database,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found, whole = _RATE.search(done.stdout), _DONE.search(done.stdout)
    if done.returncode or found is None or whole is None:
        raise RuntimeError(f"pgbench failed: {done.stderr[-2000:]}")
    return float(found[1])
