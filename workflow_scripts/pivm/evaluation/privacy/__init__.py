"""The privacy audit: do synthetic slices copy training patients, and does a generator tell who was in its training?"""
