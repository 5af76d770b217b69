"""LangChain's Qdrant store against a running server, with only the URL changed."""

import sys
import warnings

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_qdrant import QdrantVectorStore
from qdrant_client import QdrantClient

warnings.filterwarnings("error", module="qdrant_client")


class Letters(Embeddings):
    """Counts of letters: as good as a model for telling a few words apart."""

    def embed_query(self, text):
        return [float(text.lower().count(letter)) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"]

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]


def main(url):
    client = QdrantClient(url=url, prefer_grpc=False)
    client.delete_collection("documents")
    client.close()
    texts = ["a cat sat", "zebras buzz", "hello world"]
    documents = [Document(page_content=text, metadata={"n": n}) for n, text in enumerate(texts)]
    store = QdrantVectorStore.from_documents(
        documents, Letters(), url=url, prefer_grpc=False, collection_name="documents"
    )
    [found] = store.similarity_search("zebra buzz", k=1)
    assert found.page_content == "zebras buzz" and found.metadata["n"] == 1, found
    [(found, score)] = store.similarity_search_with_score("the cat sat", k=1)
    assert found.page_content == "a cat sat" and score > 0.8, (found, score)
    [id] = store.add_texts(["qqqq"], metadatas=[{"n": 3}])
    assert [one.page_content for one in store.get_by_ids([id])] == ["qqqq"]
    assert store.delete([id])
    assert store.get_by_ids([id]) == []
    store.client.close()
    print("langchain store: fine")


if __name__ == "__main__":
    main(sys.argv[1])
