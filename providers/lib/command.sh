# Runs one hook of the contract in docs/providers.md from a command line in the manifest: options.create,
# options.ssh-info, … The command gets the same environment, and its stdin, stdout, stderr and exit status are those of
# the hook.
hook=${0##*/}
eval "line=\${BOTTLE_OPT_$(printf %s "$hook" | tr a-z- A-Z_):-}"
if [ -z "$line" ]; then
  echo "set options.$hook in the manifest: the command line that does what docs/providers.md says about $hook" >&2
  exit 78
fi
exec /bin/sh -c "$line" "bottle-$hook"
