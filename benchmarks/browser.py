"""How Chromium draws volumes where there is no GPU, and for a user that is root."""

SOFTWARE_WEBGL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
