"""The container image, built as `make image` builds it, and its program run in it as its user, with buildah."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "/usr/local/bin/tenantry"


class Buildah:
    """buildah with a store of its own, where no container engine runs and nobody may make namespaces."""

    def __init__(self, store):
        self.command = ["buildah", "--storage-driver", "vfs", "--root", str(store / "root"), "--runroot", str(store / "run")]

    def __call__(self, *arguments, check=True):
        done = subprocess.run([*self.command, *arguments], capture_output=True, text=True)
        assert done.returncode == 0 or not check, done.stderr
        return done

    def run(self, container, *arguments, environment=(), **options):
        """The image's program with these arguments. It shares the network of the machine."""
        pairs = [part for pair in environment for part in ("--env", pair)]
        return self("run", "--isolation", "chroot", *pairs, container, "--", PROGRAM, *arguments, **options)


@pytest.fixture(scope="session")
def buildah(tmp_path_factory):
    return Buildah(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def image(buildah):
    build = " ".join([*buildah.command, "bud", "--isolation", "chroot"])
    # Not optimised: that takes most of the time of a release build, and nothing here depends on it.
    quick = {**os.environ, "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0"}
    subprocess.run(["make", "image", "IMAGE=tenantry:test", f"BUILD_IMAGE={build}"], cwd=ROOT, env=quick, check=True)
    return "tenantry:test"


@pytest.fixture
def container(buildah, image):
    name = buildah("from", image).stdout.strip()
    yield name
    buildah("rm", name)


@pytest.fixture(scope="session")
def double():
    process = subprocess.Popen([sys.executable, "-m", "double"], cwd=ROOT / "tests" / "aws",
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield json.loads(process.stdout.readline())["endpoint"]
    process.stdin.close()
    process.wait(5)


@pytest.mark.parametrize("variable, complaint", [("BUILD_IMAGE=no-such-builder build", "buildah, podman or docker is needed"),
                                                 ("AUTHORITIES=/no/such/file", "no certificate authorities in /no/such/file")])
def test_what_is_missing_is_said_before_anything_is_built(variable, complaint):
    done = subprocess.run(["make", "image", "BUILD_IMAGE=true", variable], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0 and complaint in done.stderr and "cargo" not in done.stdout


def test_its_program_runs_and_says_its_version(buildah, container):
    assert buildah.run(container, "--version").stdout.split()[0] == "tenantry"


def test_it_holds_one_program_and_the_authorities_that_it_trusts(buildah, container):
    mounted = Path(buildah("mount", container).stdout.strip())
    files = {str(path.relative_to(mounted)) for path in mounted.rglob("*") if path.is_file()}
    assert files == {"usr/local/bin/tenantry", "etc/ssl/certs/ca-certificates.crt"}
    # No interpreter: nothing is loaded beside it.
    headers = subprocess.run(["readelf", "--program-headers", str(mounted / PROGRAM[1:])], capture_output=True, text=True, check=True)
    assert "INTERP" not in headers.stdout


def test_it_runs_as_nobody(buildah, container):
    config = json.loads(buildah("inspect", "--type", "container", container).stdout)["OCIv1"]["config"]
    assert (config["User"], config["Entrypoint"]) == ("65532:65532", [PROGRAM])
    mounted = Path(buildah("mount", container).stdout.strip())
    for folder, mode in (("roots", 0o755), ("its", 0o777)):
        (mounted / folder).mkdir()
        os.chmod(mounted / folder, mode)
    refused = buildah.run(container, "crds", "--dir", "/roots", check=False)
    assert refused.returncode != 0 and "Permission denied" in refused.stderr
    buildah.run(container, "crds", "--dir", "/its")
    written = list((mounted / "its").iterdir())
    assert written and {(path.stat().st_uid, path.stat().st_gid) for path in written} == {(65532, 65532)}


def test_it_finds_aws_by_name(buildah, container, double):
    """A static program looks names up by itself, here in the file /etc/hosts. That it asks a name server this does not show: a container
    reads the machine's /etc/resolv.conf, whose port is 53."""
    port = double.rsplit(":", 1)[1]
    environment = [f"AWS_ENDPOINT_URL=http://localhost:{port}", "AWS_ACCESS_KEY_ID=111122223333", "AWS_SECRET_ACCESS_KEY=not-a-secret",
                   "AWS_REGION=us-east-1"]
    told = buildah.run(container, "retained", "--installation", "prod", environment=environment, check=False)
    assert "there is no bucket 'prod-records-111122223333-us-east-1-an'" in told.stderr, told.stdout + told.stderr
