# The phantom: scans that the workflow makes itself, in TotalSegmentator's layout.
# in: datasets.<name> of the layout phantom   out: <path>/<patient>/, <path>/meta.csv
PHANTOM = DATASET.roots[0]
PHANTOM_SETTINGS = {key: getattr(DATASET.settings, key) for key in ("seed", "matrix", "slice_spacing")}
PHANTOM_ANATOMY = PHANTOM_SETTINGS | {"detail": DATASET.settings.detail}

# wildcard constraints: the patients with a CT, and those without
WITH_CT, WITHOUT_CT = (
    "|".join(name for name, one in LISTING.subjects.items() if bool(one.ct) == ct) or "(?!)" for ct in (True, False)
)


rule phantom_patient:
    output:
        ct=f"{PHANTOM}/{{subject}}/ct.nii.gz",
        masks=[f"{PHANTOM}/{{subject}}/segmentations/{organ}.nii.gz" for organ in ORGANS_34],
    log:
        f"{RESULTS}/logs/phantom_patient/{{subject}}.log",
    wildcard_constraints:
        subject=WITH_CT,
    conda:
        "../envs/data.yaml"
    resources:
        **needs("scan"),
    params:
        code=code("phantom_patient"),
        settings=PHANTOM_ANATOMY,
    script:
        "../workflow_scripts/phantom_patient.py"


rule phantom_labels:
    output:
        masks=[f"{PHANTOM}/{{subject}}/segmentations/{organ}.nii.gz" for organ in ORGANS_34],
    log:
        f"{RESULTS}/logs/phantom_labels/{{subject}}.log",
    wildcard_constraints:
        subject=WITHOUT_CT,
    conda:
        "../envs/data.yaml"
    resources:
        **needs("scan"),
    params:
        code=code("phantom_labels"),
        settings=PHANTOM_ANATOMY,
    script:
        "../workflow_scripts/phantom_labels.py"


rule phantom_meta:
    output:
        f"{PHANTOM}/meta.csv",
    log:
        f"{RESULTS}/logs/phantom_meta.log",
    conda:
        "../envs/data.yaml"
    resources:
        **needs("facts"),
    params:
        code=code("phantom_meta"),
        settings=PHANTOM_SETTINGS | {"patients": len(LISTING.subjects)},
    script:
        "../workflow_scripts/phantom_meta.py"
