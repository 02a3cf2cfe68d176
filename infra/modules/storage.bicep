// The only store: tables with spend, usage, keys, files and batches; containers with files, speech and the configuration.
// The host keeps its leases here too, and the deployed package. No key opens it: identities only.

@minLength(3)
@maxLength(24)
@description('Name of the storage account.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Redundancy.')
param sku string

@description('Container of the configuration, which the app can read and cannot write.')
param configContainer string

@description('Object id of the app.')
param appPrincipalId string

@description('Object id of whoever deploys and uploads the configuration. Empty: nobody.')
param deployerPrincipalId string

@description('Whether it is reached through private endpoints only.')
param usePrivateNetwork bool

@description('Public addresses that may reach it all the same.')
param allowedIpAddresses array

@description('Subnet of the private endpoints, or empty.')
param endpointSubnetId string

@description('DNS zone of blobs, or empty.')
param blobZoneId string

@description('DNS zone of tables, or empty.')
param tableZoneId string

var storageBlobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var storageTableDataContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
var packageContainer = 'app-package'
var containers = [
  packageContainer
  configContainer
  'spillway-files'
  'spillway-speech'
]
var tables = [
  'spillwaybatches'
  'spillwayfiles'
  'spillwayjobs'
  'spillwaykeys'
  'spillwayledger'
  'spillwayspend'
  'spillwayusage'
]
// Whoever writes the configuration can send any key to any host, so the app may do everything with blobs but this.
var blobs = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs'
var noConfigurationWrites = '((!(ActionMatches{\'${blobs}/write\'}) AND !(ActionMatches{\'${blobs}/add/action\'}) AND !(ActionMatches{\'${blobs}/delete\'}) AND !(ActionMatches{\'${blobs}/move/action\'}) AND !(ActionMatches{\'${blobs}/runAsSuperUser/action\'})) OR (@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name] StringNotEquals \'${configContainer}\'))'

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  // checkov:skip=CKV_AZURE_35:usePrivateNetwork denies; without a network the app could not reach it
  // checkov:skip=CKV_AZURE_206:storageSku is a parameter; every value of it is replicated
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: (usePrivateNetwork && empty(allowedIpAddresses)) ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: usePrivateNetwork ? 'None' : 'AzureServices'
      defaultAction: usePrivateNetwork ? 'Deny' : 'Allow'
      ipRules: [for address in allowedIpAddresses: {
        value: address
        action: 'Allow'
      }]
    }
  }
}

resource blobService 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: 7
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: 7
    }
  }
}

resource blobContainers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [for container in containers: {
  parent: blobService
  name: container
  properties: {
    publicAccess: 'None'
  }
}]

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource accountTables 'Microsoft.Storage/storageAccounts/tableServices/tables@2025-06-01' = [for table in tables: {
  parent: tableService
  name: table
}]

resource configuration 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' existing = {
  parent: blobService
  name: configContainer
}

resource appBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, appPrincipalId, storageBlobDataOwner)
  scope: account
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataOwner)
    condition: noConfigurationWrites
    conditionVersion: '2.0'
  }
}

resource appTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, appPrincipalId, storageTableDataContributor)
  scope: account
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageTableDataContributor)
  }
}

resource deployerConfiguration 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(deployerPrincipalId)) {
  name: guid(configuration.id, deployerPrincipalId, storageBlobDataContributor)
  scope: configuration
  properties: {
    principalId: deployerPrincipalId
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
  }
  dependsOn: [
    blobContainers
  ]
}

module blobEndpoint 'private-endpoint.bicep' = if (usePrivateNetwork) {
  name: 'spillway-endpoint-blob'
  params: {
    name: 'pep-blob-${name}'
    location: location
    tags: tags
    subnetId: endpointSubnetId
    targetId: account.id
    groupId: 'blob'
    zoneId: blobZoneId
  }
}

module tableEndpoint 'private-endpoint.bicep' = if (usePrivateNetwork) {
  name: 'spillway-endpoint-table'
  params: {
    name: 'pep-table-${name}'
    location: location
    tags: tags
    subnetId: endpointSubnetId
    targetId: account.id
    groupId: 'table'
    zoneId: tableZoneId
  }
}

@description('Name of the account.')
output name string = account.name

@description('URL of its blob service, with a slash at the end.')
output blobEndpoint string = account.properties.primaryEndpoints.blob

@description('Container that the code is deployed to.')
output packageContainer string = packageContainer
