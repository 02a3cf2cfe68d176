// The function app on Flex Consumption, its plan and its settings.

@minLength(2)
@maxLength(60)
@description('Name of the function app and of its host.')
param name string

@description('Name of the plan.')
param planName string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Resource id of the identity.')
param identityId string

@description('Client id of the identity.')
param identityClientId string

@description('Storage account of the host, of the package and of everything that Spillway keeps.')
param storageAccountName string

@description('Container that the code is deployed to.')
param packageContainer string

@description('Application Insights component.')
param componentName string

@description('Address of the master key in the vault.')
param masterKeyUri string

@description('Address of the secret that seals ids.')
param idSecretUri string

@description('Where the configuration is read: a URL of a blob, or a path in the package.')
param configuration string

@description('When the timer moves batches on.')
param batchSchedule string

@description('More app settings. They win over those below.')
param appSettings object

@description('Memory of an instance in MB.')
param instanceMemoryMB int

@description('The most instances.')
param maximumInstanceCount int

@description('Calls under way on one instance before another is started.')
param httpConcurrency int

@description('Instances that are always there for HTTP.')
param alwaysReadyInstances int

@description('Subnet that the app sends from, or empty.')
param appSubnetId string

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  // checkov:skip=CKV_AZURE_225:a question of price and region, and Spillway stands a lost zone: its state is in the storage account
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  // checkov:skip=CKV_AZURE_222:it is an API for whoever has a key
  // checkov:skip=CKV_AZURE_17:callers send a key; OpenAI's SDKs have no client certificates
  // checkov:skip=CKV_AZURE_212:Flex Consumption scales to zero; alwaysReadyInstances is the setting
  // checkov:skip=CKV_AZURE_213:Flex Consumption has no health check path
  name: name
  location: location
  // azd finds the app by this tag: the service `api` of azure.yaml.
  tags: union(tags, {
    'azd-service-name': 'api'
  })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    // Without it Key Vault references are read with a system-assigned identity, which this app does not have.
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(appSubnetId) ? null : appSubnetId
    siteConfig: {
      ftpsState: 'Disabled'
      http20Enabled: true
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${account.properties.primaryEndpoints.blob}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: (alwaysReadyInstances == 0) ? [] : [
          {
            name: 'http'
            instanceCount: alwaysReadyInstances
          }
        ]
        triggers: {
          http: {
            perInstanceConcurrency: httpConcurrency
          }
        }
      }
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2024-11-01' = {
  // checkov:skip=CKV_AZURE_66:these are app settings, not the site's configuration
  // checkov:skip=CKV_AZURE_63:these are app settings, not the site's configuration
  // checkov:skip=CKV_AZURE_222:these are app settings, not the site's configuration
  // checkov:skip=CKV_AZURE_80:these are app settings, not the site's configuration
  // checkov:skip=CKV_AZURE_88:these are app settings, not the site's configuration
  // checkov:skip=CKV_AZURE_65:these are app settings, not the site's configuration
  // checkov:skip=CKV_AZURE_13:Spillway authenticates its callers itself, with keys that OpenAI's SDKs send
  parent: app
  name: 'appsettings'
  properties: union({
    AzureWebJobsStorage__blobServiceUri: account.properties.primaryEndpoints.blob
    AzureWebJobsStorage__tableServiceUri: account.properties.primaryEndpoints.table
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identityClientId
    AZURE_CLIENT_ID: identityClientId
    APPLICATIONINSIGHTS_CONNECTION_STRING: component.properties.ConnectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    // Uploads of files for batches go to 200 MB, and the form around them takes a little.
    FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '210000000'
    SPILLWAY_CONFIG: configuration
    SPILLWAY_MASTER_KEY: '@Microsoft.KeyVault(SecretUri=${masterKeyUri})'
    SPILLWAY_ID_SECRET: '@Microsoft.KeyVault(SecretUri=${idSecretUri})'
    SPILLWAY_BATCH_SCHEDULE: batchSchedule
  }, appSettings)
}

// Deployments sign in with Entra: there is no password for publishing.
resource publishingByFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource publishingByScm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

@description('Name of the app.')
output name string = app.name

@description('Where it answers.')
output url string = 'https://${app.properties.defaultHostName}'
