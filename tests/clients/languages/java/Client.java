import com.google.auth.oauth2.ComputeEngineCredentials;
import com.google.auth.oauth2.GoogleCredentials;
import com.google.auth.oauth2.IdTokenProvider;
import com.google.cloud.ServiceOptions;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.util.List;

/**
 * What an application sees through google-auth-library-java and google-cloud-core: prints it as JSON.
 *
 * <p>Usage: java Client AUDIENCE SCOPE...
 */
public final class Client {
  public static void main(String[] args) throws IOException {
    List<String> scopes = List.of(args).subList(1, args.length);
    GoogleCredentials credentials = GoogleCredentials.getApplicationDefault().createScoped(scopes);
    JsonObject seen = new JsonObject();
    seen.addProperty("client", "google-auth-library-java");
    seen.addProperty("available", credentials instanceof ComputeEngineCredentials);
    seen.addProperty("projectID", ServiceOptions.getDefaultProjectId());
    seen.addProperty("universe", credentials.getUniverseDomain());
    seen.addProperty("email", ((ComputeEngineCredentials) credentials).getAccount());
    try {
      seen.addProperty("accessToken", credentials.refreshAccessToken().getTokenValue());
    } catch (IOException error) {
      seen.addProperty("accessTokenError", error.getMessage());
    }
    try {
      IdTokenProvider provider = (IdTokenProvider) credentials;
      seen.addProperty("idToken", provider.idTokenWithAudience(args[0], List.of()).getTokenValue());
    } catch (IOException error) {
      seen.addProperty("idTokenError", error.getMessage());
    }
    System.out.println(seen);
  }
}
