"""Snakemake whose jobs are forked from one process that has torch and the like imported already.

A job of the miniature spends most of its time on imports. ``finished`` runs each job in a Python of its own, as users
do; the other chains of these tests differ in data and settings and can do without. The library itself is imported by
every job, from the copy of the workflow that runs.

    python warm.py serve SOCKET        the process that is forked; ends when its standard input is closed
    python warm.py snakemake ARGS      Snakemake; the environment names, as PIVM_WARM_PYTHON, what starts its jobs
    python warm.py job SCRIPT          one job; the environment names the socket, as PIVM_WARM_SOCKET

What calls ``job`` is a file of its own, so that Snakemake takes it for a Python.
"""

import json
import os
import socket
import sys

#: exit status of a job that ended without one
DIED = 70
#: packages whose import takes long; of those that few jobs need, none
SLOW = (
    "matplotlib.pyplot",
    "nibabel",
    "pandas",
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
    "diffusers.schedulers.scheduling_ddim",
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

    matplotlib.use("Agg")
    from pivm.learning.torchvision_import import allow_torchvision_import

    allow_torchvision_import()
    for name in SLOW:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.split(".")[0] == "pivm"]:
        del sys.modules[name]
    return allow_torchvision_import.library


def serve(path: str) -> None:
    """Fork one child for each job that is asked for."""
    import gc
    import select
    import signal

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    own_path = list(sys.path)
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
    """The job, in the child; the connection closes without an exit status where it dies."""
    import atexit
    import runpy
    import traceback

    text, descriptors = socket.recv_fds(connection, 1 << 20, 3)[:2]
    task = json.loads(text)
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.chdir(task["folder"])
    os.environ.clear()
    os.environ.update(task["environment"])
    script = task["arguments"][0]
    library = [p for p in task["environment"].get("PYTHONPATH", "").split(os.pathsep) if p]
    sys.argv = task["arguments"]
    sys.path[:] = [os.path.dirname(script), *library, *own_path[1:]]
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


def job(arguments: list[str]) -> int:
    """Ask for a job and wait for its exit status."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ["PIVM_WARM_SOCKET"])
        task = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
        socket.send_fds(connection, [json.dumps(task).encode()], [0, 1, 2])
        status = connection.recv(1)
    return status[0] if status else DIED


def snakemake(arguments: list[str]) -> None:
    """Snakemake, which starts its jobs with what it takes for this process's Python."""
    from snakemake.cli import main

    sys.executable = os.environ["PIVM_WARM_PYTHON"]
    sys.argv[:] = ["snakemake", *arguments]
    main()


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "job":
        sys.exit(job(rest))
    elif what == "serve":
        serve(*rest)
    else:
        snakemake(rest)
