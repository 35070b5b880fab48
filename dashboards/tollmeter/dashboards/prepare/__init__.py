"""From records to what is drawn and said: every rule of honest charts, as pure functions without Dash."""
