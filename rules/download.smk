# The archive of a data set, where `download` names it and it is not there yet. The subjects are known only afterwards,
# so the tables are made by a second call.
# in: datasets.<name>.download   out: datasets.<name>.path
rule download:
    output:
        str(ARCHIVE),
    log:
        f"{RESULTS}/logs/download.log",
    conda:
        "../envs/data.yaml"
    resources:
        **needs("scans"),
    params:
        code=code("download"),
        download=plain(DATASET.settings.download),
    message:
        "Fetching {output}; run the same command again when it is there"
    script:
        "../workflow_scripts/download.py"
