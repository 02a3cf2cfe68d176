#!/bin/sh
# Uploads Spillway's configuration to spillway-config/config.yaml, from where the app reads it again when it changes.
#
# SPILLWAY_CONFIG_FILE names the file (azd env set SPILLWAY_CONFIG_FILE my.yaml). Without it the model_list of the
# accounts in infra/main.parameters.json is uploaded, unless somebody else's configuration is there already.
# Needs `az login`. It is optional: whatever uploads the blob will do.
set -eu

if [ "${SPILLWAY_CONFIGURATION_FROM:-}" != blob ]; then
  echo "The configuration comes with the code: nothing to upload."
  exit 0
fi

account=$AZURE_STORAGE_ACCOUNT_NAME
by_hand="az storage blob upload --auth-mode login --account-name $account -c spillway-config -n config.yaml --overwrite -f YOUR.yaml"
if ! command -v az >/dev/null; then
  echo "The Azure CLI is not installed, so no configuration was uploaded. Wherever it is: $by_hand"
  exit 0
fi

blob() {
  verb=$1
  shift
  # shellcheck disable=SC2086 # the verb is one or two words
  az storage blob $verb --auth-mode login --account-name "$account" -c spillway-config -n config.yaml "$@"
}

made=
file=${SPILLWAY_CONFIG_FILE:-}
if [ -z "$file" ]; then
  if [ "${SPILLWAY_MODEL_LIST:-[]}" = "[]" ]; then
    echo "No Azure OpenAI accounts are named in infra/main.parameters.json, and SPILLWAY_CONFIG_FILE is not set."
    echo "Spillway does not start before there is a configuration: $by_hand"
    exit 0
  fi
  made=$(mktemp)
  trap 'rm -f "$made"' EXIT
  printf '{"model_list": %s}\n' "$SPILLWAY_MODEL_LIST" >"$made" # JSON is YAML
  file=$made
elif [ ! -f "$file" ]; then
  echo "SPILLWAY_CONFIG_FILE: there is no file $file" >&2
  exit 1
fi

# A role takes some minutes to be known everywhere.
tries=0
until exists=$(blob exists --query exists -o tsv); do
  tries=$((tries + 1))
  if [ "$tries" -ge 12 ]; then
    echo "The storage account does not let you in. With a private network, see allowedIpAddresses. Later: $by_hand" >&2
    exit 1
  fi
  echo "Waiting for your role on the storage account ($tries of 12)"
  sleep "${SPILLWAY_HOOK_PAUSE_S:-20}"
done

if [ -n "$made" ] && [ "$exists" = true ] && [ "$(blob "metadata show" --query madeby -o tsv)" != azd ]; then
  echo "There is a configuration already, which was not made by azd: it stays as it is."
  exit 0
fi

if [ -n "$made" ]; then
  blob upload --overwrite --content-type application/yaml --metadata madeby=azd -f "$file" --no-progress -o none
  echo "Uploaded a configuration with the accounts of infra/main.parameters.json."
else
  blob upload --overwrite --content-type application/yaml -f "$file" --no-progress -o none
  echo "Uploaded $file."
fi
