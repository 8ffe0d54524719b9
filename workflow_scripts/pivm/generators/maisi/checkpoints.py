"""Where released checkpoints lie; free of torch, so that the workflow finds them when it starts."""

from __future__ import annotations

from pathlib import Path

from pivm.errors import ConfigError

#: network -> how its file begins
BEGINNINGS = {"autoencoder": "autoencoder", "diffusion": "diff_unet", "controlnet": "controlnet"}
ENDINGS = (".pt", ".safetensors")


def checkpoint_files(folder: str | Path) -> dict[str, Path]:
    """The file of each network in a folder, by the names of the release.

    Raises:
        ConfigError: a network has no file there, or several.
    """
    found = {}
    for network, beginning in BEGINNINGS.items():
        files = sorted(p for p in Path(folder).glob(f"{beginning}*") if p.suffix in ENDINGS)
        if len(files) != 1:
            raise ConfigError(
                "generators: weights",
                f"{folder}: found {', '.join(p.name for p in files) or 'no file'} for the {network}, expected one "
                f"{beginning}*.pt or {beginning}*.safetensors",
            )
        found[network] = files[0]
    return found
