# Runs one hook of the contract in docs/providers.md: the program in the hook's directory does the work.
command -v python3 >/dev/null 2>&1 || { echo "python3 is not installed: this provider needs it on this machine" >&2; exit 78; }
exec python3 -IB "${0%/*}/provider.py" "${0##*/}"
