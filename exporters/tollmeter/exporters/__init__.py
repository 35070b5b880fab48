"""The forwarder: reads the spool and feeds sinks, each at its own pace."""
