#!/usr/bin/env bash
# Makes the samples of one scheme anew, for the day when a format version is added beside the present one. Not run by any
# test: the committed files are what the program wrote when the format was fixed.
#   tests/golden/make.sh SCHEME FOLDER
set -euo pipefail
scheme=$1 out=$2 cli=${MSFL_CLI:-build/release/cli/medsecurefl}
mkdir -p "$out"
(umask 077 && echo "a throw-away passphrase" >"$out/phrase")
case $scheme in paillier) own=(--security 112) ;; *) own=(--ring 2048 --values 64) ;; esac
"$cli" keygen --scheme "$scheme" --passphrase-file "$out/phrase" --bits 16 --clients 2 --clip 8 --samples-max 9 "${own[@]}" \
  --out "$out/keys" >/dev/null
echo "0.5 -0.25 0.125 7.5 -8 0 3.75" >"$out/v.txt"
echo "3.75 0 -8 7.5 0.125 -0.25 0.5" >"$out/w.txt"
"$cli" encrypt --key "$out/keys/public.msk" "$out/v.txt" -o "$out/$scheme-1.msc" --samples 2 --round 12 --quiet
"$cli" encrypt --key "$out/keys/public.msk" "$out/w.txt" -o "$out/2.msc" --samples 6 --round 12 --quiet
"$cli" add "$out/$scheme-1.msc" "$out/2.msc" -o "$out/$scheme-sum.msc" --quiet
mv "$out/keys/public.msk" "$out/$scheme-public.msk"
mv "$out/keys/secret.msk" "$out/$scheme-secret.msk"
rm -r "$out/keys" "$out/2.msc" "$out/v.txt" "$out/w.txt" "$out/phrase"
