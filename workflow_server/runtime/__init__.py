"""Runs brought to life: the runner feeds the engine, performs its effects and executes steps on either loop."""
