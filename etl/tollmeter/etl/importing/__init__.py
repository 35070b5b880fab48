"""Records of other systems as raw events: LiteLLM, Langfuse, OpenAI's usage export, Bedrock's invocation logs."""

from tollmeter.etl.importing.run import SOURCES, ImportReport, import_files

__all__ = ["SOURCES", "ImportReport", "import_files"]
