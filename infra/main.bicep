// Spillway on Azure: what `azd up` creates. Start reading here; each module is one noun.
// Every resource is declared in full with a pinned API version, so nothing is restored from a registry.
targetScope = 'subscription'

@description('One deployment of a model.')
type modelDeployment = {
  // What callers send as `model`. The same name in several accounts is one model group, and Spillway spreads over them.
  name: string
  // The model and its version, as `az cognitiveservices account list-models` names them. No version: the default one.
  model: string
  version: string?
  // GlobalStandard, DataZoneStandard, Standard, GlobalProvisionedManaged, ...; none means GlobalStandard.
  sku: string?
  // Thousands of tokens a minute, or provisioned throughput units.
  capacity: int
}

@description('An Azure OpenAI account to create.')
type openAiAccount = {
  location: string
  // A part of the account's name, needed only when a region has two. None means the region.
  name: string?
  // Each a modelDeployment.
  deployments: array
}

@description('An Azure OpenAI account that exists already, in any subscription of this tenant.')
type existingOpenAiAccount = {
  // Its resource id: /subscriptions/.../providers/Microsoft.CognitiveServices/accounts/NAME
  id: string
  // https://NAME.openai.azure.com
  endpoint: string
  // Names of its deployments.
  deployments: array
}

@minLength(1)
@maxLength(40)
@description('Name of the azd environment. The resource group, the tags and a short hash in every name come from it.')
param environmentName string

@minLength(1)
@description('Region of everything but the Azure OpenAI accounts. It must offer Flex Consumption: az functionapp list-flexconsumption-locations')
@metadata({
  azd: {
    type: 'location'
  }
})
param location string

@description('Resource group to create or to use. Empty: rg-ENVIRONMENT.')
param resourceGroupName string = ''

@description('Object id of whoever deploys. It may upload the configuration and read the keys. Empty: nobody may.')
param principalId string = ''

@secure()
@minLength(15)
@description('The master key of Spillway. It is kept in Key Vault, and azd reads it back from there next time.')
param masterKey string

@secure()
@minLength(15)
@description('What the ids of responses and of speech are sealed with. Its own secret, so that a new master key leaves old ids valid.')
param idSecret string

@description('Azure OpenAI accounts to create, with their deployments: as many regions as you like.')
param openAiAccounts openAiAccount[] = []

@description('Azure OpenAI accounts that exist already. Spillway gets its role on them; nothing else of them is touched.')
param existingOpenAiAccounts existingOpenAiAccount[] = []

@description('Whether files, batches and fine-tuning are used. They need the role Cognitive Services OpenAI Contributor; without them OpenAI User is enough.')
param useFilesBatchesAndFineTuning bool = true

@allowed([
  'blob'
  'package'
])
@description('Where the configuration is read: blob, spillway-config/config.yaml of the storage account, again whenever it changes; package, the config.yaml that is deployed with the code.')
param configurationFrom string = 'blob'

@description('More app settings: those of docs/configuration.md, and what the configuration names as os.environ/NAME. Keys belong in the vault: @Microsoft.KeyVault(VaultName=...;SecretName=...).')
param appSettings object = {}

@description('When the timer moves batches on, as NCRONTAB with seconds. Every run bills at least a second of an instance.')
param batchSchedule string = '0 * * * * *'

@allowed([
  512
  2048
  4096
])
@description('Memory of an instance in MB; its part of a CPU grows with it.')
param instanceMemoryMB int = 2048

@minValue(40)
@maxValue(1000)
@description('The most instances that the app scales out to.')
param maximumInstanceCount int = 100

@minValue(1)
@maxValue(1000)
@description('Calls under way on one instance before another is started. Without it the platform takes 1 for Python.')
param httpConcurrency int = 100

@minValue(0)
@maxValue(100)
@description('Instances that are always there for HTTP, against cold starts. They cost money when idle.')
param alwaysReadyInstances int = 0

@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_GZRS'
])
@description('Redundancy of the storage account, which holds spend, keys, files and batches.')
param storageSku string = 'Standard_LRS'

@minValue(30)
@maxValue(730)
@description('Days that logs are kept.')
param logRetentionDays int = 30

@description('Whether the storage account, the vault and the created Azure OpenAI accounts are reached through private endpoints in a virtual network only.')
param usePrivateNetwork bool = false

@description('Public IPv4 addresses or ranges that may reach the storage account and the vault although usePrivateNetwork is on: that of whoever deploys.')
param allowedIpAddresses string[] = []

@description('Address space of the virtual network, at least a /24.')
param addressPrefix string = '10.117.0.0/24'

@description('Whether nobody can remove the vault for good before its days of soft deletion are over. Cannot be taken back, and azd down cannot purge then.')
param keyVaultPurgeProtection bool = false

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = {
  'azd-env-name': environmentName
}
var groupName = empty(resourceGroupName) ? 'rg-${environmentName}' : resourceGroupName
var configContainer = 'spillway-config'
var configBlob = 'config.yaml'
// What the configuration says of the accounts above, for the hook that uploads it where nobody wrote one.
var createdModels = flatten(map(openAiAccounts, account => map(account.deployments, one => {
  model_name: one.name
  litellm_params: {
    model: 'azure/${one.name}'
    api_base: 'https://${toLower('oai-${token}-${account.?name ?? account.location}')}.openai.azure.com'
    auth: 'managed_identity'
  }
  model_info: {
    base_model: (one.?version == null) ? 'azure/${one.model}' : 'azure/${one.model}-${one.version}'
  }
})))
var existingModels = flatten(map(existingOpenAiAccounts, account => map(account.deployments, one => {
  model_name: one
  litellm_params: {
    model: 'azure/${one}'
    api_base: account.endpoint
    auth: 'managed_identity'
  }
})))

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: groupName
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  scope: group
  name: 'spillway-identity'
  params: {
    name: 'id-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  name: 'spillway-monitoring'
  params: {
    workspaceName: 'log-${token}'
    componentName: 'appi-${token}'
    location: location
    tags: tags
    retentionDays: logRetentionDays
    appPrincipalId: identity.outputs.principalId
  }
}

module network 'modules/network.bicep' = if (usePrivateNetwork) {
  scope: group
  name: 'spillway-network'
  params: {
    name: 'vnet-${token}'
    location: location
    tags: tags
    addressPrefix: addressPrefix
    appPrefix: cidrSubnet(addressPrefix, 26, 0)
    endpointPrefix: cidrSubnet(addressPrefix, 26, 1)
  }
}

module storage 'modules/storage.bicep' = {
  scope: group
  name: 'spillway-storage'
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    sku: storageSku
    configContainer: configContainer
    appPrincipalId: identity.outputs.principalId
    deployerPrincipalId: principalId
    usePrivateNetwork: usePrivateNetwork
    allowedIpAddresses: allowedIpAddresses
    endpointSubnetId: usePrivateNetwork ? network!.outputs.endpointSubnetId : ''
    blobZoneId: usePrivateNetwork ? network!.outputs.blobZoneId : ''
    tableZoneId: usePrivateNetwork ? network!.outputs.tableZoneId : ''
  }
}

module vault 'modules/vault.bicep' = {
  scope: group
  name: 'spillway-vault'
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    masterKey: masterKey
    idSecret: idSecret
    appPrincipalId: identity.outputs.principalId
    deployerPrincipalId: principalId
    workspaceId: monitoring.outputs.workspaceId
    purgeProtection: keyVaultPurgeProtection
    usePrivateNetwork: usePrivateNetwork
    allowedIpAddresses: allowedIpAddresses
    endpointSubnetId: usePrivateNetwork ? network!.outputs.endpointSubnetId : ''
    vaultZoneId: usePrivateNetwork ? network!.outputs.vaultZoneId : ''
  }
}

module openAi 'modules/openai.bicep' = [for account in openAiAccounts: {
  scope: group
  name: take('spillway-openai-${account.?name ?? account.location}', 64)
  params: {
    name: toLower('oai-${token}-${account.?name ?? account.location}')
    location: account.location
    tags: tags
    deployments: account.deployments
    appPrincipalId: identity.outputs.principalId
    useFilesBatchesAndFineTuning: useFilesBatchesAndFineTuning
    usePrivateNetwork: usePrivateNetwork
    endpointLocation: location
    endpointSubnetId: usePrivateNetwork ? network!.outputs.endpointSubnetId : ''
    openAiZoneId: usePrivateNetwork ? network!.outputs.openAiZoneId : ''
  }
}]

module existingOpenAi 'modules/openai-access.bicep' = [for (account, i) in existingOpenAiAccounts: {
  scope: resourceGroup(split(account.id, '/')[2], split(account.id, '/')[4])
  name: 'spillway-openai-access-${i}-${token}'
  params: {
    accountName: split(account.id, '/')[8]
    appPrincipalId: identity.outputs.principalId
    useFilesBatchesAndFineTuning: useFilesBatchesAndFineTuning
  }
}]

module app 'modules/app.bicep' = {
  scope: group
  name: 'spillway-app'
  params: {
    name: 'func-${token}'
    planName: 'plan-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageAccountName: storage.outputs.name
    packageContainer: storage.outputs.packageContainer
    componentName: monitoring.outputs.componentName
    masterKeyUri: vault.outputs.masterKeyUri
    idSecretUri: vault.outputs.idSecretUri
    configuration: (configurationFrom == 'blob') ? '${storage.outputs.blobEndpoint}${configContainer}/${configBlob}' : configBlob
    batchSchedule: batchSchedule
    appSettings: appSettings
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    httpConcurrency: httpConcurrency
    alwaysReadyInstances: alwaysReadyInstances
    appSubnetId: usePrivateNetwork ? network!.outputs.appSubnetId : ''
  }
}

@description('Where Spillway answers: base_url of an OpenAI client is this and /v1.')
output SPILLWAY_URL string = app.outputs.url

@description('Name of the function app.')
output AZURE_FUNCTION_NAME string = app.outputs.name

@description('The vault with the secret spillway-master-key. azd reads the keys back from it, so that a deployment keeps them.')
output AZURE_KEY_VAULT_NAME string = vault.outputs.name

@description('The storage account, with the container spillway-config.')
output AZURE_STORAGE_ACCOUNT_NAME string = storage.outputs.name

@description('The resource group of everything.')
output AZURE_RESOURCE_GROUP string = group.name

@description('Where the configuration is read, blob or package.')
output SPILLWAY_CONFIGURATION_FROM string = configurationFrom

@description('model_list of the accounts above. The hook uploads it where no configuration was written.')
output SPILLWAY_MODEL_LIST array = concat(createdModels, existingModels)
