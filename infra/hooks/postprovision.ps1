# Uploads Spillway's configuration to spillway-config/config.yaml, from where the app reads it again when it changes.
#
# SPILLWAY_CONFIG_FILE names the file (azd env set SPILLWAY_CONFIG_FILE my.yaml). Without it the model_list of the
# accounts in infra/main.parameters.json is uploaded, unless somebody else's configuration is there already.
# Needs `az login`. It is optional: whatever uploads the blob will do.
$ErrorActionPreference = 'Stop'

if ($env:SPILLWAY_CONFIGURATION_FROM -ne 'blob') {
    Write-Host 'The configuration comes with the code: nothing to upload.'
    exit 0
}

$blob = @('--auth-mode', 'login', '--account-name', $env:AZURE_STORAGE_ACCOUNT_NAME, '-c', 'spillway-config', '-n', 'config.yaml')
$byHand = "az storage blob upload $($blob -join ' ') --overwrite -f YOUR.yaml"
if (-not (Get-Command az -ErrorAction SilentlyContinue)) {
    Write-Host "The Azure CLI is not installed, so no configuration was uploaded. Wherever it is: $byHand"
    exit 0
}

$made = $null
$file = $env:SPILLWAY_CONFIG_FILE
if (-not $file) {
    if (-not $env:SPILLWAY_MODEL_LIST -or $env:SPILLWAY_MODEL_LIST -eq '[]') {
        Write-Host 'No Azure OpenAI accounts are named in infra/main.parameters.json, and SPILLWAY_CONFIG_FILE is not set.'
        Write-Host "Spillway does not start before there is a configuration: $byHand"
        exit 0
    }
    $made = New-TemporaryFile
    Set-Content -Path $made -Value "{`"model_list`": $($env:SPILLWAY_MODEL_LIST)}" # JSON is YAML
    $file = $made.FullName
}
elseif (-not (Test-Path $file -PathType Leaf)) {
    throw "SPILLWAY_CONFIG_FILE: there is no file $file"
}

try {
    # A role takes some minutes to be known everywhere.
    $pause = if ($env:SPILLWAY_HOOK_PAUSE_S) { [int]$env:SPILLWAY_HOOK_PAUSE_S } else { 20 }
    for ($tries = 1; $true; $tries++) {
        $exists = az storage blob exists @blob --query exists -o tsv
        if ($LASTEXITCODE -eq 0) { break }
        if ($tries -ge 12) {
            throw "The storage account does not let you in. With a private network, see allowedIpAddresses. Later: $byHand"
        }
        Write-Host "Waiting for your role on the storage account ($tries of 12)"
        Start-Sleep -Seconds $pause
    }

    if ($made -and $exists -eq 'true' -and (az storage blob metadata show @blob --query madeby -o tsv) -ne 'azd') {
        Write-Host 'There is a configuration already, which was not made by azd: it stays as it is.'
        exit 0
    }

    $metadata = if ($made) { @('--metadata', 'madeby=azd') } else { @() }
    az storage blob upload @blob --overwrite --content-type application/yaml @metadata -f $file --no-progress -o none
    if ($LASTEXITCODE -ne 0) { throw 'The upload failed.' }
    $what = if ($made) { 'a configuration with the accounts of infra/main.parameters.json' } else { $file }
    Write-Host "Uploaded $what."
}
finally {
    if ($made) { Remove-Item $made -Force }
}
