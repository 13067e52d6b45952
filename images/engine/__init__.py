"""The engine: how it is found, brought up and spoken to, and how it builds the stages of a Dockerfile."""

from images.engine.connection import Engine, connect, ensure, stop
from images.engine.stages import Report, Stage, Step, build_stage, builder_name

__all__ = ["Engine", "Report", "Stage", "Step", "build_stage", "builder_name", "connect", "ensure", "stop"]
