# processor_ms COMMAND...: the milliseconds of processor time it takes, its output aside; the clock on the wall would
# tell as much about what else the machine does. Fails where the command does.
processor_ms() {
  local TIMEFORMAT='%U %S' times
  times=$({ time "$@" >/dev/null 2>&1; } 2>&1) || return
  awk '{ printf "%d\n", ($1 + $2) * 1000 }' <<<"$times"
}
