# What an application sees through googleauth: prints it as JSON.
# Usage: client.rb AUDIENCE SCOPE...
require "googleauth"
require "googleauth/version"
require "json"

audience, *scopes = ARGV
seen = { client: "googleauth #{Google::Auth::VERSION}" }

begin
  credentials = Google::Auth.get_application_default(scopes)
rescue RuntimeError
  puts JSON.generate(seen.merge(available: false))
  exit
end
seen[:available] = credentials.is_a?(Google::Auth::GCECredentials)
begin
  seen[:accessToken] = credentials.fetch_access_token!["access_token"]
rescue Signet::AuthorizationError => error
  seen[:accessTokenError] = error.message
end
begin
  id_credentials = Google::Auth::GCECredentials.new(target_audience: audience)
  seen[:idToken] = id_credentials.fetch_access_token!["id_token"]
rescue Signet::AuthorizationError => error
  seen[:idTokenError] = error.message
end
puts JSON.generate(seen)
