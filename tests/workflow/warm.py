"""Snakemake and its jobs, forked from one process that has torch and the like imported already.

A job of the miniature spends most of its time on imports, and so does a dry run. ``finished`` is run as users do, with
a Python of its own for Snakemake and for each job; the other runs of these tests differ in data and settings and can do
without. The library itself is imported in every process, from the copy of the workflow that runs.

    python warm.py serve SOCKET        the process that is forked; ends when its standard input is closed
    python warm.py start SCRIPT ...    run a script; the environment names the socket, as PIVM_WARM_SOCKET

What calls ``start`` are files of their own: two are named ``snakemake`` and ``pivm``, the third, which the environment
names as PIVM_WARM_PYTHON, is what Snakemake takes for the Python of its jobs.
"""

import json
import os
import socket
import sys

#: exit status of a script that ended without one
DIED = 70
#: packages whose import takes long; of those that few scripts need, none
SLOW = (
    "matplotlib.pyplot",
    "nibabel",
    "pandas",
    "pydicom",
    "scipy.ndimage",
    "scipy.spatial",
    "scipy.stats",
    "skimage.metrics",
    "torch._dynamo",
    "safetensors.torch",
    "segmentation_models_pytorch",
    "timm",
    "torch_fidelity.metric_fid",
    "torch_fidelity.metric_kid",
    "diffusers.schedulers.scheduling_ddpm",
    "diffusers.schedulers.scheduling_dpmsolver_multistep",
    "monai.apps.generation.maisi.networks.autoencoderkl_maisi",
    "monai.apps.generation.maisi.networks.controlnet_maisi",
    "monai.apps.generation.maisi.networks.diffusion_model_unet_maisi",
    "monai.networks.schedulers.rectified_flow",
    "monai.networks.utils",
)


def import_slow():
    """Import the slow packages and leave nothing of the library behind.

    Returns:
        what must not be collected.
    """
    import importlib

    import matplotlib
    import snakemake.cli

    matplotlib.use("Agg")
    from pivm.learning.torchvision_import import allow_torchvision_import

    allow_torchvision_import()
    snakemake.cli.get_argument_parser()  # looks for plugins
    for name in SLOW:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.split(".")[0] == "pivm"]:
        del sys.modules[name]
    return allow_torchvision_import


def serve(path: str) -> None:
    """Fork one child for each script that is to run."""
    import gc
    import select
    import signal

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    own_path = [p for p in sys.path[1:] if p not in given]
    gc.set_threshold(100_000)  # imports and syntax trees are many objects that stay
    kept = import_slow()
    gc.freeze()
    signal.signal(signal.SIGCHLD, lambda *_: bury())
    while sys.stdin not in (ready := select.select([listener, sys.stdin], [], [])[0]):
        assert ready == [listener]
        connection = listener.accept()[0]
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            try:
                run(connection, own_path)
            finally:
                os._exit(DIED)
        connection.close()
    del kept


def bury() -> None:
    """Wait for the children that ended; their time on the CPU is counted with this process's then."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass  # none is left


def run(connection: socket.socket, own_path: list[str]) -> None:
    """Run a script, in the child; the connection closes without an exit status where it dies."""
    import atexit
    import runpy
    import traceback

    text, descriptors = socket.recv_fds(connection, 1 << 20, 3)[:2]
    task = json.loads(text)
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    # those of this process know what the server's could do, such as to seek
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    os.chdir(task["folder"])
    os.environ.clear()
    os.environ.update(task["environment"])
    script = task["arguments"][0]
    library = [p for p in task["environment"].get("PYTHONPATH", "").split(os.pathsep) if p]
    sys.argv = task["arguments"]
    if os.path.basename(script) == "snakemake":
        sys.executable = os.environ["PIVM_WARM_PYTHON"]
    sys.path[:] = [os.path.dirname(script), *library, *own_path]
    code = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(bytes([code]))
    os._exit(code)


def start(arguments: list[str]) -> int:
    """Have a script run and wait for its exit status."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ["PIVM_WARM_SOCKET"])
        task = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
        socket.send_fds(connection, [json.dumps(task).encode()], [0, 1, 2])
        status = connection.recv(1)
    return status[0] if status else DIED


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "start":
        sys.exit(start(rest))
    serve(*rest)
