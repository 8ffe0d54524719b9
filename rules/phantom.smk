# The phantom: scans that the workflow makes itself, in TotalSegmentator's layout.
# in: datasets.<name> of the layout phantom   out: <path>/<patient>/, <path>/meta.csv
PHANTOM = DATASET.roots[0]


rule phantom_patient:
    output:
        ct=f"{PHANTOM}/{{subject}}/ct.nii.gz",
        masks=[f"{PHANTOM}/{{subject}}/segmentations/{organ}.nii.gz" for organ in ORGANS_34],
    log:
        f"{RESULTS}/logs/phantom_patient/{{subject}}.log",
    conda:
        "../envs/data.yaml"
    resources:
        **needs("scan"),
    params:
        code=code("phantom_patient"),
        settings={k: getattr(DATASET.settings, k) for k in ("seed", "matrix", "slice_spacing")},
    script:
        "../workflow_scripts/phantom_patient.py"


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
        settings={k: getattr(DATASET.settings, k) for k in ("seed", "matrix", "slice_spacing", "patients")},
    script:
        "../workflow_scripts/phantom_meta.py"
