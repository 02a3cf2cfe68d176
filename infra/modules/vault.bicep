// Key Vault: the master key and what ids are sealed with. The app reads them as Key Vault references.

@minLength(3)
@maxLength(24)
@description('Name of the vault.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@secure()
@description('The master key.')
param masterKey string

@secure()
@description('What ids are sealed with.')
param idSecret string

@description('Object id of the app, which may read the secrets.')
param appPrincipalId string

@description('Object id of whoever deploys, whose azd reads the secrets back. Empty: nobody.')
param deployerPrincipalId string

@description('Log Analytics workspace of the audit log.')
param workspaceId string

@description('Whether it cannot be purged.')
param purgeProtection bool

@description('Whether it is reached through a private endpoint only.')
param usePrivateNetwork bool

@description('Public addresses that may reach it all the same.')
param allowedIpAddresses array

@description('Subnet of the private endpoint, or empty.')
param endpointSubnetId string

@description('DNS zone of vaults, or empty.')
param vaultZoneId string

var keyVaultSecretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  // checkov:skip=CKV_AZURE_109:usePrivateNetwork denies; without a network the app could not reach it
  // checkov:skip=CKV_AZURE_110:purgeProtection is a parameter: with it `azd down --purge` fails
  // checkov:skip=CKV_AZURE_42:purgeProtection is a parameter; soft deletion is on
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
    // It can be switched on and never off again; `false` is refused, so it is left out.
    enablePurgeProtection: purgeProtection ? true : null
    publicNetworkAccess: (usePrivateNetwork && empty(allowedIpAddresses)) ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: usePrivateNetwork ? 'Deny' : 'Allow'
      ipRules: [for address in allowedIpAddresses: {
        value: address
      }]
    }
  }
}

resource masterKeySecret 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = {
  // checkov:skip=CKV_AZURE_41:it is changed when its owner says so; expired, every caller would be locked out
  parent: vault
  name: 'spillway-master-key'
  properties: {
    value: masterKey
    contentType: 'The master key of Spillway'
  }
}

resource idSecretSecret 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = {
  // checkov:skip=CKV_AZURE_41:it is changed when its owner says so; expired, every caller would be locked out
  parent: vault
  name: 'spillway-id-secret'
  properties: {
    value: idSecret
    contentType: 'What Spillway seals ids with'
  }
}

resource appSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, appPrincipalId, keyVaultSecretsUser)
  scope: vault
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', keyVaultSecretsUser)
  }
}

resource deployerSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(deployerPrincipalId)) {
  name: guid(vault.id, deployerPrincipalId, keyVaultSecretsUser)
  scope: vault
  properties: {
    principalId: deployerPrincipalId
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', keyVaultSecretsUser)
  }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'AuditEvent'
        enabled: true
      }
    ]
  }
}

module endpoint 'private-endpoint.bicep' = if (usePrivateNetwork) {
  name: 'spillway-endpoint-vault'
  params: {
    name: 'pep-${name}'
    location: location
    tags: tags
    subnetId: endpointSubnetId
    targetId: vault.id
    groupId: 'vault'
    zoneId: vaultZoneId
  }
}

@description('Name of the vault.')
output name string = vault.name

@description('Address of the master key in the vault, without a version: a new one is taken up by itself.')
output masterKeyUri string = masterKeySecret.properties.secretUri

@description('Address of the secret that seals ids.')
output idSecretUri string = idSecretSecret.properties.secretUri
