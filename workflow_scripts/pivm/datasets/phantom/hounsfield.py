"""CT numbers of the phantom: mean HU of each tissue in three contrast phases.

Values are rounded from published means at 120 kV:

- unenhanced soft tissue: Lamba R. et al., *CT Hounsfield numbers of soft tissues on unenhanced abdominal CT
  scans*, AJR 203:1013-1020 (2014); liver also Zech W.-D. et al., Int J Legal Med 133:1861-1867 (2019), 58 +- 9 HU;
- arterial and portal venous enhancement of aorta, portal vein, liver, spleen and kidney: Bae K. T.,
  *Intravenous contrast medium administration and scan timing at CT*, Radiology 256:32-61 (2010), and
  Foley W. D. et al., *Multidetector CT: abdominal visceral imaging*, RadioGraphics 22:701-719 (2002);
- pancreas by phase: Lu D. S. et al., Radiology 199:697-701 (1996);
- adrenal gland, unenhanced: Boland G. W. et al., AJR 171:201-204 (1998);
- trabecular bone of the lumbar vertebrae: Pickhardt P. J. et al., Ann Intern Med 158:588-595 (2013).
"""

from __future__ import annotations

PHASES = ("unenhanced", "arterial", "portal")

#: tissue -> HU in the phases of :data:`PHASES`
TISSUE_HU: dict[str, tuple[float, float, float]] = {
    "air": (-1000, -1000, -1000),
    "couch": (-90, -90, -90),
    "skin": (30, 30, 35),
    "fat": (-102, -102, -100),
    "muscle": (54, 58, 63),
    "bone_cortical": (620, 620, 620),
    "bone_marrow": (165, 170, 178),
    "pelvic_marrow": (95, 100, 108),
    "disc": (75, 75, 78),
    "spinal_canal": (22, 24, 26),
    "lung": (-840, -836, -832),
    "gas": (-950, -950, -950),
    "fluid": (14, 14, 14),
    "stool": (25, 25, 25),
    "urine": (4, 4, 6),
    "heart": (42, 190, 130),
    "artery": (41, 290, 145),
    "vein": (40, 75, 140),
    "liver": (56, 68, 106),
    "hepatic_vessel": (42, 85, 150),
    "spleen": (47, 118, 118),
    "kidney_cortex": (33, 160, 172),
    "kidney_medulla": (29, 72, 160),
    "gallbladder": (9, 9, 10),
    "esophagus": (36, 50, 58),
    "stomach": (40, 66, 78),
    "inferior_vena_cava": (38, 72, 118),
    "portal_vein": (40, 112, 158),
    "pancreas": (39, 102, 84),
    "adrenal_gland": (18, 58, 66),
    "small_bowel": (32, 76, 82),
    "duodenum": (34, 72, 78),
    "colon": (34, 58, 68),
}
#: organ-to-organ spread of the mean between patients (HU, one standard deviation)
BIOLOGICAL_SD = 6.0
