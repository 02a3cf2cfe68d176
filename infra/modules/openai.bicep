// One Azure OpenAI account with its deployments. It takes Entra identities only: no key exists that could leak.

@minLength(2)
@maxLength(64)
@description('Name of the account and of its subdomain.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Deployments: name, model, version?, sku?, capacity.')
param deployments array

@description('Object id of the app.')
param appPrincipalId string

@description('Whether the app may use files, batches and fine-tuning.')
param useFilesBatchesAndFineTuning bool

@description('Whether it is reached through a private endpoint only.')
param usePrivateNetwork bool

@description('Region of the virtual network.')
param endpointLocation string

@description('Subnet of the private endpoint, or empty.')
param endpointSubnetId string

@description('DNS zone of Azure OpenAI, or empty.')
param openAiZoneId string

resource account 'Microsoft.CognitiveServices/accounts@2025-06-01' = {
  // checkov:skip=CKV_AZURE_238:the account reads nothing of anybody's: data comes in the call, so it needs no identity
  // checkov:skip=CKV_AZURE_134:usePrivateNetwork closes it; without a network the app could not reach it
  name: name
  location: location
  tags: tags
  kind: 'OpenAI'
  sku: {
    name: 'S0'
  }
  properties: {
    customSubDomainName: name
    disableLocalAuth: true
    publicNetworkAccess: usePrivateNetwork ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: usePrivateNetwork ? 'Deny' : 'Allow'
    }
  }
}

// One after the other: an account takes one change of its deployments at a time.
@batchSize(1)
resource models 'Microsoft.CognitiveServices/accounts/deployments@2025-06-01' = [for one in deployments: {
  parent: account
  name: one.name
  sku: {
    name: one.?sku ?? 'GlobalStandard'
    capacity: one.capacity
  }
  properties: {
    model: {
      format: 'OpenAI'
      name: one.model
      version: one.?version
    }
    // A version that is written is what calls are priced by; it moves on only when Azure retires it.
    versionUpgradeOption: 'OnceCurrentVersionExpired'
  }
}]

module access 'openai-access.bicep' = {
  name: take('spillway-access-${name}', 64)
  params: {
    accountName: account.name
    appPrincipalId: appPrincipalId
    useFilesBatchesAndFineTuning: useFilesBatchesAndFineTuning
  }
}

module endpoint 'private-endpoint.bicep' = if (usePrivateNetwork) {
  name: take('spillway-endpoint-${name}', 64)
  params: {
    name: 'pep-${name}'
    location: endpointLocation
    tags: tags
    subnetId: endpointSubnetId
    targetId: account.id
    groupId: 'account'
    zoneId: openAiZoneId
  }
  dependsOn: [
    models
  ]
}
