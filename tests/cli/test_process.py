"""The command as a process of its own: what it imports, where it prints, and its exit code."""

import json
import subprocess
import sys


def run(*tokens, **how):
    return subprocess.run(
        [sys.executable, "-m", "ethogram", *tokens], capture_output=True, text=True, check=False, **how
    )


def test_listing_loads_no_framework():
    code = (
        "import sys\nfrom ethogram.cli import main\nassert main(['systems', '--json', '-']) == 0\n"
        "print(sorted({'numpy', 'torch', 'duckdb', 'pyarrow', 'numba', 'sklearn'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
    assert len(json.loads(done.stdout)) >= 6


def test_module_and_exit_codes(tmp_path):
    assert run("--version").stdout.strip() == "0.1.0"
    assert "recommend" in run("--help").stdout
    assert run().returncode == 0
    wrong = run("show", "popularty", "--json", "x.json", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_early():
    code = "import sys; from ethogram.cli import main; sys.exit(main(['systems']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.wait() == 0
        assert process.stderr.read() == b""


def test_plain_text_where_no_terminal_is(tmp_path):
    said = run("systems", cwd=tmp_path)
    assert "\x1b" not in said.stdout
    assert not set(said.stdout) & set("│╭─┃━")
